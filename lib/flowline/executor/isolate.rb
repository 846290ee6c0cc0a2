# frozen_string_literal: true

module Flowline
  module Executor
    # The middleware that calls attempts in a forked child of their own: those of steps with +isolate: :process+, or all.
    # Entries after it are called in the child.
    # @api private
    class Isolate
      # @param all [Boolean] whether every attempt is called in a child. An exception that would end a whole process then
      #   ends the run; otherwise it ends only the child.
      def initialize(all: false)
        @all = all
      end

      # @param attempt [Attempt]
      # @return [void]
      def call(attempt)
        return yield unless @all || attempt.step.options[:isolate]

        options = { contain: !@all, lines: attempt.context.lines, descriptors: attempt.capture == :descriptors }
        attempt.output, attempt.report, attempt.writes = Executor::Isolation.call(**options) do
          yield
          [attempt.output, attempt.report, attempt.writes]
        end
      end
    end
  end
end
