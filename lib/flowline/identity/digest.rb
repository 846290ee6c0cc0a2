# frozen_string_literal: true

module Flowline
  module Identity
    # Digests of values. Values of the same class and content have the same digest in every process, whichever objects they
    # share. The core digests Ruby's own containers; this module splits other objects into their parts.
    # @api private
    module Digest
      # A value that cannot be digested.
      class Impossible < Error
        # @return [String] its class
        attr_reader :object_class

        # @param object_class [String]
        def initialize(object_class)
          @object_class = object_class
          super(TypeHints.one(object_class))
        end
      end

      KERNEL = %i[class instance_variables instance_variable_get singleton_class to_s].to_h { |name| [name, ::Kernel.instance_method(name)] }.freeze
      NAME = ::Module.instance_method(:name)
      MESSAGE = ::Exception.instance_method(:to_s)
      # Exceptions that methods of the object may raise.
      TROUBLE = [StandardError, SystemStackError, NotImplementedError].freeze
      # Readers of a NameError about the code around it: they are no part of its content.
      WHERE_RAISED = %i[local_variables].freeze
      # The readers that are written in C, by exception class.
      READERS = ObjectSpace::WeakMap.new
      private_constant :KERNEL, :NAME, :MESSAGE, :TROUBLE, :WHERE_RAISED, :READERS

      class << self
        # @return [String, nil] the digest, unless there is none
        def try(value)
          Native.digest(value)
        rescue Impossible
          nil
        end

        # Returns the class and the parts of an object.
        # @param object [Object]
        # @param plain [Boolean] whether its instance variables are all of its parts
        # @param singleton [Boolean] whether it has a singleton class
        # @return [Array] the name of its class, and its parts
        # @raise [Impossible]
        def parts(object, plain, singleton)
          take_apart(object, plain, singleton)
        rescue Impossible
          raise
        rescue *TROUBLE => e
          Caller.raise_foreign(e) { take_apart(object, plain, singleton) }
          raise Impossible, NAME.bind_call(ask(object, :class))
        end

        private

        def take_apart(object, plain, singleton)
          type = ask(object, :class)
          name = NAME.bind_call(type) or raise Impossible, "anonymous class's instance"
          return [name, object.cache_key_with_version] if record?(object, type)
          return [name, object.__send__(:marshal_dump)] if has?(type, :marshal_dump)
          raise Impossible, "#{name} with methods of its own" if singleton && own_methods?(object, type)
          return [name, *variables(object)] if plain && !has?(type, :_dump) && !(::Exception === object)

          [name, *(content(object, type) || [Marshal.dump(object)])]
        end

        def ask(object, what, *arguments)
          KERNEL.fetch(what).bind_call(object, *arguments)
        end

        # Calls a method of the object's real class, because the object may override the method or claim another class.
        def given(object, type, method)
          type.instance_method(method).bind_call(object)
        end

        # Returns whether the object, and not only its class, has methods, private ones included.
        def own_methods?(object, type)
          return false if ::Module === object

          (ask(object, :singleton_class).ancestors - type.ancestors).any? do |owner|
            owner.instance_methods(false).any? || owner.private_instance_methods(false).any?
          end
        end

        def has?(type, method)
          type.method_defined?(method) || type.private_method_defined?(method)
        end

        # @return [Array, nil]
        def content(object, type)
          # A TimeWithZone of ActiveSupport claims to be a Time.
          return [object.to_r, object.utc_offset, object.zone, object.utc?, *variables(object)] if type <= ::Time

          case object
          when ::Module then [NAME.bind_call(object) || raise(Impossible, "class without a name")]
          when ::Array then [::Array.new(object), *variables(object)]
          when ::String then [::String.new(object), *variables(object)]
          when ::Hash then [hash(object), *variables(object)]
          when ::Range then [object.begin, object.end, object.exclude_end?, *variables(object)]
          when ::Struct then [given(object, ::Struct, :to_a), *variables(object)]
          when ::Exception then exception(object, type)
          else other(object)
          end
        end

        # Returns the content of an object whose class may not be loaded.
        def other(object)
          if defined?(::Set) && ::Set === object
            [given(object, ::Set, :to_a), object.compare_by_identity?, *variables(object).reject { |name,| name == :@hash }]
          elsif defined?(::Data) && ::Data.respond_to?(:define) && ::Data === object
            [given(object, ::Data, :to_h), *variables(object)]
          elsif defined?(::BigDecimal) && ::BigDecimal === object
            [object.to_s]
          end
        end

        # Returns the content of an exception: both messages, because a class may override either method, and the data that
        # Ruby's own exceptions have outside of instance variables, such as SystemExit#status.
        def exception(object, type)
          facts = facts(object, type)
          messages = [object.message, MESSAGE.bind_call(object)].uniq
          [*messages.map { |text| without_addresses(text, facts) }, object.cause, facts, *variables(object)]
        end

        # Returns the values of the readers that are written in C. A reader raises if it has no value, not even nil.
        def facts(object, type)
          (READERS[type] ||= readers(type)).each_with_object({}) do |reader, facts|
            facts[reader.name] = reader.bind_call(object)
          rescue ArgumentError
            next
          end
        end

        def readers(type)
          classes = type.ancestors.take_while { |ancestor| ancestor != ::Exception }.grep(::Class)
          methods = classes.flat_map { |owner| (owner.public_instance_methods(false) - WHERE_RAISED).map { |name| owner.instance_method(name) } }
          methods.select { |method| reader?(method) }.uniq(&:name)
        end

        def reader?(method)
          method.source_location.nil? && method.arity.zero? && !::Exception.method_defined?(method.original_name)
        end

        # Removes the addresses of objects, because they differ from process to process.
        def without_addresses(message, facts)
          facts.values.inject(message) do |text, fact|
            address = ask(fact, :to_s)[/0x\h+/]
            text.is_a?(::String) && text.b.include?(address) ? text.b.gsub(address, "") : text
          end
        end

        def hash(hash)
          raise Impossible, "Hash with a default block" if given(hash, ::Hash, :default_proc)

          [given(hash, ::Hash, :default), hash.compare_by_identity?, *given(hash, ::Hash, :to_a).flatten(1)]
        end

        # Returns whether the object is an unchanged record of ActiveRecord whose own cache key includes a version.
        def record?(object, type)
          type.method_defined?(:cache_key_with_version) && object.persisted? && !object.changed? &&
            !(type.method_defined?(:cache_version) && object.cache_version.nil?)
        end

        def variables(object)
          ask(object, :instance_variables).sort.map { |name| [name, ask(object, :instance_variable_get, name)] }
        end
      end
    end
  end
end
