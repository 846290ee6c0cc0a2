# frozen_string_literal: true

module Flowline
  module Execution
    # The outputs of a run with +freeze_outputs: true+: each is deeply frozen when it is put here, before anything depends on it.
    #
    # The rules are those of +Ractor.make_shareable+: everything that an output refers to is frozen, but for classes and modules.
    # Objects that cannot be frozen for good, or would be of no use, stay as they are: IO objects, threads, locks, queues, procs,
    # methods and enumerators, and the context of the run. So do objects whose own +freeze+ raises.
    # @api private
    class FrozenOutputs < Array
      # Objects that stay as they are.
      LEFT = [::Module, ::IO, ::Proc, ::Method, ::UnboundMethod, ::Thread, ::Mutex, ::Queue, ::ConditionVariable, ::Enumerator, ::Fiber, ::Binding,
              ::Random, ::ObjectSpace::WeakMap, Context].freeze
      KERNEL = %i[instance_variables instance_variable_get frozen?].to_h { |name| [name, ::Kernel.instance_method(name)] }.freeze
      private_constant :LEFT, :KERNEL

      # @param id [Integer] the step
      # @param output [Object]
      # @return [Object]
      def []=(id, output)
        super(id, FrozenOutputs.freeze_deeply(output))
      end

      class << self
        # Freezes an object and all that it refers to, without recursion.
        # @param object [Object]
        # @return [Object] the same
        def freeze_deeply(object)
          seen = {}.compare_by_identity
          open = [object]
          until open.empty?
            part = open.pop
            next if done?(part) || seen.key?(part)

            seen[part] = true
            open.concat(parts(part))
            freeze_object(part)
          end
          object
        end

        private

        def done?(part)
          case part
          when ::Integer, ::Symbol, ::Float, nil, true, false, *LEFT then true
          else !(::Object === part) || Ractor.shareable?(part)
          end
        end

        def freeze_object(part)
          part.freeze
        rescue ::StandardError
          nil # Its own `freeze` refuses.
        end

        def parts(part)
          variables = KERNEL[:instance_variables].bind_call(part).map { |name| KERNEL[:instance_variable_get].bind_call(part, name) }
          case part
          when ::String then variables
          when ::Array then variables + part
          when ::Hash then variables.concat(part.keys, part.values, [part.default])
          when ::Range then variables.push(part.begin, part.end)
          when ::Exception then variables.push(part.message, Backtrace.of(part), Error.cause_of(part))
          else variables + members(part)
          end
        end

        def members(part)
          return ::Struct.instance_method(:to_a).bind_call(part) if ::Struct === part
          return part.to_h.values if defined?(::Data) && ::Data.respond_to?(:define) && ::Data === part

          defined?(::Set) && ::Set === part ? part.to_a : []
        end
      end
    end
  end
end
