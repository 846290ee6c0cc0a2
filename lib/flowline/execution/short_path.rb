# frozen_string_literal: true

module Flowline
  module Execution
    # Runs steps that are called and nothing else, in the coordinator's thread: with one call of the core for each.
    # @api private
    class ShortPath
      # @param environment [Environment]
      # @param state [State]
      # @param inbox [Inbox]
      def initialize(environment, state, inbox)
        @environment = environment
        @run = environment.run
        @state = state
        @inbox = inbox
      end

      # Works until every step has ended.
      # @return [void]
      def drive
        calls = @environment.calls
        outputs = @environment.outputs
        context = @environment.context
        contextual = @environment.contextual
        following = @run.next
        while following
          if Integer === following
            outputs[following] = calls[following].call(outputs, contextual&.key?(following) ? context.lend(@environment, following) : context)
            following = @run.succeed(following)
          else
            @inbox.wait(following)
            following = @run.next
          end
        end
      rescue StandardError => e
        fail_step(following, e)
        retry
      rescue ScriptError, SystemStackError, NoMemoryError => e
        fail_step(following, e)
        raise
      end

      private

      def fail_step(id, error)
        raise error unless Integer === id && !@state.ended?(id)

        @state.fail(id, @state.step_error(id, error), :failed)
      end
    end
  end
end
