# frozen_string_literal: true

module Flowline
  module Testing
    class Crashes
      # The moments at which a run records something. Prepended to {Recording::Journal} in a child that is forked for one run, it
      # counts them, and kills the child at one of them.
      # @api private
      module Moments
        class << self
          # @yieldparam moment [String] before or after what
          # @return [void]
          def observe(&block)
            @observer = block
            Recording::Journal.prepend(self)
          end

          # @return [void]
          def pass(moment, recorded = nil)
            @observer.call(moment, recorded)
          end
        end

        # See {Recording::Journal#start}.
        def start(*)
          super.tap { Moments.pass("after the run began") }
        end

        # See {Recording::Journal#complete}.
        def complete(_id, step, *)
          around("step #{Name.show(step.name)}", [step.name]) { super }
        end

        # See {Recording::Journal#complete_item}.
        def complete_item(_id, step, position, *)
          around("item #{position + 1} of step #{Name.show(step.name)}", [step.name, position]) { super }
        end

        # See {Recording::Journal#finish}. After it there is nothing to resume.
        def finish(*)
          Moments.pass("before the end of the run was recorded")
          super
        end

        private

        # @yieldreturn [Integer, Boolean] how much was recorded
        def around(what, recorded)
          Moments.pass("before #{what} was recorded")
          yield.tap { |bytes| Moments.pass("after #{what} was recorded", [bytes && bytes != 0 ? "recorded" : "ended", *recorded]) }
        end
      end
    end
  end
end
