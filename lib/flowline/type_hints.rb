# frozen_string_literal: true

module Flowline
  # Checks values against the +input:+ and +output:+ hints of a step. Values may be anything, even
  # objects that know no method at all, so the types are asked, never the values.
  # @api private
  module TypeHints
    KIND = ::Kernel.instance_method(:class)
    TITLE = ::Module.instance_method(:to_s)
    SIZES = [::Array, ::Hash, ::String].to_h { |type| [type, type.instance_method(:size)] }.freeze
    private_constant :KIND, :TITLE, :SIZES

    class << self
      # @param inputs [Hash{Symbol => Object}] what it gets from each dependency
      # @raise [TypeError] one is not of its type
      def check_input(step, inputs)
        hint = step.options[:input]
        hints = hint.is_a?(Hash) ? hint : inputs.transform_values { hint }
        inputs.each { |name, value| check(hints[name], value, "input #{Name.show(name)}") }
      end

      # @raise [TypeError] it is not of the type
      def check_output(step, output)
        check(step.options[:output], output, "output")
      end

      # @return [String] what kind of value it is, never the value itself: +"Array (3)"+
      def describe(value)
        size = size(value)
        "#{kind(value)}#{" (#{size})" if size}"
      end

      # @return [Integer, nil] how many elements an Array, Hash or String has
      def size(value)
        _, size = SIZES.find { |type, _| type === value }
        size&.bind_call(value)
      end

      # @return [String] the name of its class
      def kind(value)
        TITLE.bind_call(KIND.bind_call(value))
      end

      private

      def check(hint, value, what)
        return if hint.nil? || hint === value

        raise ::TypeError, "#{what} is #{describe(value)}, not #{hint.inspect}"
      end
    end
  end
end
