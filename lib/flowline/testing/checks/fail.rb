# frozen_string_literal: true

module Flowline
  module Testing
    module Checks
      # A run, or a step, fails.
      class Fail < Check
        # @param name [Symbol, String, nil] the step that fails; nil: any
        def initialize(name = nil)
          super()
          @name = name
        end

        # Adds what the error is like.
        # @param expected [Array] a class, a message as a String or Regexp, or both
        # @return [self]
        def with(*expected)
          @type, = expected.grep(Module)
          @message = expected.find { |value| !value.is_a?(Module) }
          self
        end

        # @return [String]
        def description
          about = [@type, (show(@message) if @message)].compact.join(" ")
          "fail#{" at #{Name.show(@name)}" if @name}#{" with #{about}" unless about.empty?}"
        end

        private

        def holds?
          errors.any? { |error| error_fits?(error) }
        end

        def errors
          return [@subject.error].compact if StepResult === @subject
          return [step(@name).error].compact if @name

          [@subject.error, *@subject.failed_steps.map { |name| @subject[name].error }].compact.uniq
        end

        # The error that a step raised, or that of the step or the run, may be the one that is expected.
        def error_fits?(error)
          [error, (error.original if error.is_a?(StepError))].compact.any? { |known| (@type.nil? || @type === known) && message_fits?(known) }
        end

        def message_fits?(error)
          @message.nil? || same?(@message, error.message) || (@message.is_a?(String) && error.message.include?(@message))
        end

        def actual
          return "it succeeded#{account}" if @subject.success?
          return "#{ending(step(@name))}#{account}" if @name

          StepResult === @subject ? ending(@subject) : "it ended otherwise#{account}"
        end
      end
    end
  end
end
