# frozen_string_literal: true

module Flowline
  module Testing
    module Checks
      # A run, or a step, succeeds.
      class Succeed < Check
        # Adds that it has an output.
        # @overload with_output(output)
        #   @param output [Object] of the step, or of the last step of the run
        # @overload with_output(name, output)
        # @return [self]
        def with_output(*expected)
          raise ArgumentError, "with_output takes an output, or the name of a step and its output" unless [1, 2].include?(expected.size)

          (@outputs ||= []) << (expected.size == 2 ? expected : [nil, expected.first])
          self
        end

        # @return [String]
        def description
          outputs = @outputs&.map { |name, output| "the output #{show(output)}#{" of #{Name.show(name)}" if name}" }
          outputs ? "succeed with #{outputs.join(" and ")}" : "succeed"
        end

        private

        def holds?
          @subject.success? && wrong.nil?
        end

        def wrong
          @outputs&.find { |name, output| !same?(output, producer(name).output) || !producer(name).output? }
        end

        # @return [StepResult] the step of that name, or the last one
        def producer(name)
          return step(name) if name
          return @subject if StepResult === @subject

          last = @subject.dag.steps.map(&:name) - @subject.dag.steps.flat_map(&:depends_on).flat_map { |before| @subject.dag.ends(before) }
          return @subject[last.first] if last.one?

          ends = last.map { |other| Name.show(other) }.join(", ")
          raise ArgumentError, "with_output: the run ends with #{ends}; name one, as in with_output(:#{last.first}, …)"
        end

        def actual
          return "it #{verb}#{account}#{": #{@subject.error&.message || @subject.reason}" if StepResult === @subject}" unless @subject.success?

          result = producer(wrong.first)
          result.output? ? "the output of #{Name.show(result.name)} is #{show(result.output)}" : "#{ending(result)}, and has no output"
        end

        def verb
          { failed: "failed", timed_out: "timed out", cancelled: "was cancelled", skipped: "was skipped" }.fetch(@subject.status)
        end
      end
    end
  end
end
