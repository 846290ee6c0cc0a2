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
    # `===` may be overridden: ActiveSupport asks objects what they are.
    IS = ::Module.instance_method(:===)
    CONTENT = {
      ::Module => ->(object) { [NAME.bind_call(object) || raise(Impossible, "class without a name")] },
      ::Array => ->(object) { [::Array.new(object), *variables(object)] },
      ::String => ->(object) { [::String.new(object), *variables(object)] },
      ::Hash => ->(object) { [hash(object), *variables(object)] },
      ::Range => ->(object) { [object.begin, object.end, object.exclude_end?] },
      ::Struct => ->(object) { [object.to_a, *variables(object)] },
      ::Time => ->(object) { [object.to_r, object.utc_offset, object.zone, object.utc?] },
      ::Rational => ->(object) { [object.numerator, object.denominator] },
      ::Complex => ->(object) { object.rect },
      ::Exception => ->(object) { [object.message, *variables(object)] }
    }.freeze
    private_constant :KERNEL, :NAME, :IS, :CONTENT

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
        _, take = CONTENT.find { |type, _| IS.bind_call(type, object) }
        take ? instance_exec(object, &take) : other(object)
      end

      # Of classes that may not be there.
      def other(object)
        return [object.to_a] if defined?(::Set) && IS.bind_call(::Set, object)
        return [object.to_h] if defined?(::Data) && ::Data.respond_to?(:define) && IS.bind_call(::Data, object)
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
      rescue StandardError # Its own methods may raise anything.
        raise Impossible, name
      end

      def variables(object)
        ask(object, :instance_variables).sort.map { |name| [name, ask(object, :instance_variable_get, name)] }
      end
    end
  end
end
