# frozen_string_literal: true

module Flowline
  module Arguments
    # The parameters of a callable, and whether Ruby would spread a sole Array over them.
    # @api private
    class Signature
      # Whether Ruby spreads a sole Array over a block of each shape. The answer depends on Ruby's version, so each shape is
      # tried once.
      SPREADS = {
        opt: proc { |a = nil| a }.call([1]) == 1,
        req_rest: proc { |a, *_r| a }.call([1]) == 1,
        opt_rest: proc { |a = nil, *_r| a }.call([1]) == 1,
        req_keys: proc { |a, **_k| a }.call([1]) == 1,
        opt_keys: proc { |a = nil, **_k| a }.call([1]) == 1
      }.freeze
      private_constant :SPREADS

      # @return [Array<Array(Symbol, Symbol)>] as +Method#parameters+ returns them
      attr_reader :parameters

      # @param callable [Object] see {Step#callable}
      # @return [Signature]
      def self.of(callable)
        callable = callable.block if callable.is_a?(Definition::BoundBlock)
        callable = callable.callable while callable.is_a?(Step) && callable.method(:call).owner == Step
        case callable
        when Proc then callable.lambda? ? new(callable.parameters) : of_block(callable)
        when Method then new(callable.parameters)
        else new(entry(callable).parameters)
        end
      end

      # @return [Method, UnboundMethod, nil] the +call+ method of an object, or of the instances of a class
      def self.entry(callable)
        return callable.method(:call) if callable.respond_to?(:call)

        callable.instance_method(:call) if callable.is_a?(Class) && callable.method_defined?(:call)
      end

      # Returns the signature of a block. A block reports all its positional parameters as optional. Its arity gives the
      # number of required ones; required keywords add one to it.
      def self.of_block(block)
        arity = block.arity
        return NOTHING if arity.zero? && block.parameters.empty?

        required = arity.negative? ? -arity - 1 : arity
        parameters = block.parameters
        required -= 1 if parameters.any? { |kind, _| kind == :keyreq }
        return of_body(block) if required.positive? && parameters.count { |kind, _| kind == :opt } > required

        parameters = parameters.map do |kind, name|
          next [kind, name] unless kind == :opt && required.positive?

          required -= 1
          [:req, name]
        end
        new(parameters, block: true)
      end

      # Returns the signature of a method with this block as its body, which shows which parameters are required.
      def self.of_body(block)
        new(Module.new { define_method(:call, &block) }.instance_method(:call).parameters, block: true)
      end
      private_class_method :of_block, :of_body

      def initialize(parameters, block: false)
        @parameters = parameters.freeze
        @spreads = block && spreads?
        freeze
      end

      # @return [Boolean] whether a sole argument must be wrapped in an Array, so that Ruby does not spread it
      def spread?
        @spreads
      end

      private

      def spreads?
        return parameters.first&.first == :opt && SPREADS[:opt] if parameters.size < 2

        positional, others = parameters.partition { |kind, _| %i[req opt].include?(kind) }
        return positional.size > 1 unless positional.one?

        kind = positional.first.first
        return SPREADS[:"#{kind}_rest"] if others.any? { |k, _| k == :rest }
        return SPREADS[:"#{kind}_keys"] if others.any? { |k, _| %i[key keyreq keyrest].include?(k) }

        kind == :opt && SPREADS[:opt]
      end

      # The signature of a block without parameters.
      NOTHING = new([])
      private_constant :NOTHING
    end
  end
end
