# frozen_string_literal: true

require "json"

module Flowline
  class Web
    # Where actions are written: one entry for each, with who did what, and when.
    # @api private
    class Journal
      # @param audit [#call, #info, nil]
      # @raise [ArgumentError] it is neither
      def initialize(audit)
        unless audit.nil? || audit.respond_to?(:call) || audit.respond_to?(:info)
          raise ArgumentError, "audit: must be a logger, or respond to call(entry), not #{audit.inspect}"
        end

        @audit = audit
      end

      # @param env [Hash{String => Object}] of Rack
      # @param entry [Hash{Symbol => Object}]
      # @return [void]
      def write(env, entry)
        entry = { time: Time.now.round(3), **entry }
        return @audit.call(entry) if @audit.respond_to?(:call)

        line = "flowline: #{Text.line(entry.except(:time).map { |name, value| "#{name}=#{value.is_a?(Hash) ? value.to_json : value}" }.join(" "))}"
        @audit ? @audit.info(line) : env["rack.errors"]&.puts(line)
      end
    end
  end
end
