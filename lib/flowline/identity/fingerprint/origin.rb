# frozen_string_literal: true

require "objspace"

module Flowline
  module Identity
    class Fingerprint
      # Finds the Method behind a Proc made with +&method+, and the block behind a method made with +define_method+. Ruby has
      # no methods for that. Both are among the objects that the garbage collector reaches from the Proc or the method.
      # @api private
      module Origin
        # The steps from a method to the block that defines it: the method's entry and, for an alias, the original's entry.
        ENTRIES = 2
        private_constant :ENTRIES

        class << self
          # @param block [Proc]
          # @return [Method, nil] the method that the Proc calls; nil if it calls anything else
          def method_of(block)
            receiver = block.binding.receiver # Of Procs without bytecode, only those made of a Method have a binding.
            found = reach([block]).grep(Method).select { |method| method.receiver.equal?(receiver) && method.arity == block.arity }
            found.first if found.one?
          rescue ArgumentError
            nil
          end

          # @param method [Method, UnboundMethod]
          # @return [Proc, nil] the block that defines it; nil if it is not defined by one
          def block_of(method)
            holders = [method]
            ENTRIES.times do
              holders = reach(holders).select { |object| entry?(object) }
              found = reach(holders).grep(Proc).select { |block| block.source_location == method.source_location }
              return found.first if found.one?
            end
            nil
          end

          private

          def reach(objects)
            objects.flat_map { |object| ObjectSpace.reachable_objects_from(object) || [] }
          end

          def entry?(object)
            ObjectSpace::InternalObjectWrapper === object && object.type == :T_IMEMO
          end
        end
      end
      private_constant :Origin
    end
  end
end
