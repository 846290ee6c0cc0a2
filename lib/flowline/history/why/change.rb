# frozen_string_literal: true

module Flowline
  module History
    class Why
      # Something about a step that is not as it was in an earlier run. +kind+ is +:code :version :conditions :dependencies :each :run_if
      # :captured :param :output :outputs :key+ or +:context+; +name+ that of the param, the step or the value; +before+ and +after+ are
      # short texts without secrets, nil if they are not known.
      Change = Struct.new(:kind, :name, :before, :after) do
        # @return [String] in words
        def to_s
          values = ": #{before || "none"} → #{after || "none"}" if before != after
          "#{subject} changed#{kind == :code ? (" (#{after})" if after) : values}"
        end

        private

        def subject
          case kind
          when :output then "the output of #{name}"
          when :outputs then "an output of #{name}"
          when :param then "the param #{name}"
          when :captured then "the captured value #{name}"
          when :key then "the value of its key:"
          when :context then "a value of context:, the input, or a secret param"
          when :each, :run_if then "its #{kind}:"
          else "its #{kind}"
          end
        end
      end
    end
  end
end
