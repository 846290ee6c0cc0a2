# frozen_string_literal: true

module Flowline
  class Definition
    # Copies of Arrays, Hashes, Sets and Strings that users give to a definition, so that nobody can change a pipeline
    # afterwards. Other objects stay as they are.
    # @api private
    module Frozen
      # @param value [Object]
      # @return [Object] a deeply frozen copy, or the value itself if it is frozen already or of another class
      def self.copy(value, seen = nil)
        return value if !container?(value) || Ractor.shareable?(value)

        copy_of(value, seen || {}.compare_by_identity)
      end

      def self.container?(value)
        case value
        when ::Array, ::Hash, ::String then true
        else defined?(::Set) && ::Set === value
        end
      end

      def self.copy_of(value, seen)
        seen.fetch(value) do
          seen[value] = made = value.dup
          case value
          when ::Array then made.map! { |part| copy(part, seen) }
          when ::Hash then made.clear && value.each { |key, part| made[copy(key, seen)] = copy(part, seen) }
          when ::String then nil
          else made.clear.merge(value.map { |part| copy(part, seen) })
          end
          made.freeze
        end
      end
      private_class_method :container?, :copy_of
    end
  end
end
