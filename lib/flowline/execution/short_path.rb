# frozen_string_literal: true

module Flowline
  module Execution
    # Runs steps that are called and nothing else, in the coordinator's thread: with one call of the core for each.
    # @api private
    module ShortPath
      class << self
        # Works until every step has ended.
        # @param environment [Environment]
        # @param state [State]
        # @param inbox [Inbox]
        # @return [void]
        def drive(environment, state, inbox)
          run = environment.run
          calls = environment.calls
          outputs = environment.outputs
          context = environment.context
          contextual = environment.contextual
          following = run.next
          while following
            if Integer === following
              outputs[following] = calls[following].call(outputs, contextual&.key?(following) ? context.lend(environment, following) : context)
              following = run.succeed(following)
            else
              inbox.wait(following)
              following = run.next
            end
          end
        rescue StandardError, ScriptError, SystemStackError, NoMemoryError => e
          fail_step(state, following, e)
          StandardError === e ? retry : raise
        end

        private

        def fail_step(state, id, error)
          raise error unless Integer === id && !state.ended?(id)

          state.fail(id, state.step_error(id, error), :failed)
        end
      end
    end
  end
end
