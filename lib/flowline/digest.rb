# frozen_string_literal: true

module Flowline
  # Digests of values: the same for the same class and content, in every process, whatever objects are shared. What
  # Ruby's own containers hold is walked natively; the rest is taken apart here.
  # @api private
  module Digest
    # A value that cannot be digested.
    class Impossible < Error
      # @return [String] its class
      attr_reader :object_class

      # @param object_class [String]
      def initialize(object_class)
        @object_class = object_class
        super("a #{object_class}")
      end
    end

    KERNEL = %i[class instance_variables instance_variable_get singleton_methods].to_h { |name| [name, ::Kernel.instance_method(name)] }.freeze
    NAME = ::Module.instance_method(:name)
    private_constant :KERNEL, :NAME

    class << self
      # @return [String, nil] the digest, unless there is none
      def try(value)
        Native.digest(value)
      rescue Impossible
        nil
      end

      # What an object is made of.
      # @param object [Object]
      # @param plain [Boolean] whether all that it is made of is in its instance variables
      # @return [Array] the name of its class, and its parts
      # @raise [Impossible]
      def parts(object, plain)
        name = NAME.bind_call(ask(object, :class)) or raise Impossible, "anonymous class's instance"
        raise Impossible, "#{name} with methods of its own" unless ::Module === object || ask(object, :singleton_methods).empty?

        content = content(object) || custom(object, name, plain)
        [name, *content]
      end

      private

      def ask(object, what, *arguments)
        KERNEL.fetch(what).bind_call(object, *arguments)
      end

      def content(object)
        case object
        when ::Module then [NAME.bind_call(object) || raise(Impossible, "class without a name")]
        when ::Array then [::Array.new(object), *variables(object)]
        when ::String then [::String.new(object), *variables(object)]
        when ::Hash then [hash(object), *variables(object)]
        when ::Range then [object.begin, object.end, object.exclude_end?]
        when ::Struct then [object.to_a, *variables(object)]
        when ::Time then [object.to_r, object.utc_offset, object.zone, object.utc?]
        when ::Rational then [object.numerator, object.denominator]
        when ::Complex then object.rect
        when ::Exception then [object.message, *variables(object)]
        else other(object)
        end
      end

      # Of classes that may not be there.
      def other(object)
        return [object.to_a] if defined?(::Set) && ::Set === object
        return [object.to_h] if defined?(::Data) && ::Data.respond_to?(:define) && ::Data === object
      end

      def hash(hash)
        raise Impossible, "Hash with a default block" if hash.default_proc

        [hash.default, hash.compare_by_identity?, *hash.to_a.flatten(1)]
      end

      # Unchanged records of ActiveRecord's know a key of their own.
      def custom(object, name, plain)
        type = ask(object, :class)
        if type.method_defined?(:cache_key_with_version) && object.persisted? && !object.changed?
          [object.cache_key_with_version]
        elsif type.method_defined?(:marshal_dump) || type.private_method_defined?(:marshal_dump)
          [object.__send__(:marshal_dump)]
        elsif plain && !type.method_defined?(:_dump)
          variables(object)
        else
          [Marshal.dump(object)]
        end
      rescue TypeError, NoMethodError
        raise Impossible, name
      end

      def variables(object)
        ask(object, :instance_variables).sort.map { |name| [name, ask(object, :instance_variable_get, name)] }
      end
    end
  end
end
