# frozen_string_literal: true

module Flowline
  module Testing
    module Checks
      # Steps are called.
      class Run < Check
        # Seconds by which times may differ that are the same, because they are sums of Floats.
        TOLERANCE = 1e-6
        private_constant :TOLERANCE

        # @param names [Array<Symbol, String>]
        def initialize(*names)
          super()
          @names = names
          @after = []
        end

        # Adds steps that end before.
        # @return [self]
        def after(*names)
          @after.concat(names)
          self
        end

        # Adds how often the step is called.
        # @return [self]
        def times(count)
          @times = count
          self
        end

        # @return [self]
        def once = times(1)

        # @return [String]
        def description
          list = ->(names) { names.map { |name| Name.show(name) }.join(", ") }
          ["have run#{" #{list.call(@names)}" if @names.any?}", *("after #{list.call(@after)}" if @after.any?),
           *(times_of(@times) if @times)].join(" ")
        end

        private

        def predicate = :has_run?
        def arguments = @names

        def holds?
          problem.nil?
        end

        # None of several steps may have run.
        def fails?
          @times || @after.any? ? !holds? : names(@names).all? { |name| step(name).attempts.zero? }
        end

        # @return [String, nil]
        def problem
          raise ArgumentError, "have_run: name a step" if @names.empty? && Result === @subject

          results = names(@names).map { |name| step(name) }
          idle = results.find { |result| result.attempts.zero? }
          return "#{ending(idle)}, and was not called#{account}" if idle

          counted = results.find { |result| @times && result.attempts != @times }
          counted ? "#{Name.show(counted.name)} was called #{times_of(counted.attempts)}" : early(results)
        end

        def times_of(count) = count == 1 ? "once" : "#{count} times"

        def early(results)
          raise ArgumentError, "have_run(…).after is about the result of a run, not of a step" if @after.any? && StepResult === @subject

          @after.map { |name| step(name) }.each do |before|
            return "#{ending(before)}, and was not called" if before.attempts.zero?

            first = results.find { |result| result.started + TOLERANCE < before.started + before.duration }
            return "#{Name.show(first.name)} started before #{Name.show(before.name)} ended" if first
          end
          nil
        end

        def actual
          problem
        end
      end
    end
  end
end
