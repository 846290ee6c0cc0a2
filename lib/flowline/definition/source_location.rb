# frozen_string_literal: true

module Flowline
  class Definition
    # The source location of a declaration: the user's own line that called one of our methods.
    # @api private
    module SourceLocation
      OWN = File.expand_path("..", __dir__)
      private_constant :OWN

      # @param depth [Integer] how many methods of our own are certainly between it and the user's line, itself included
      # @return [Thread::Backtrace::Location, nil] of the user's line that led to the method that calls this one
      def self.of_caller(depth = 2)
        depth += 1 while (location = caller_locations(depth, 1)&.first)&.path&.start_with?(OWN)
        location
      end

      # @return [String, nil] the same as +file:line+
      def self.of_caller_as_text
        text(of_caller)
      end

      # @param location [Thread::Backtrace::Location, nil]
      # @return [String, nil] +file:line+
      def self.text(location)
        -"#{location.path}:#{location.lineno}" if location
      end
    end
  end
end
