# frozen_string_literal: true

module Flowline
  # Checks values against the +input:+ and +output:+ hints of a step. A value may be any object, even one without
  # methods, so that only methods of the types are called, never methods of the value.
  # @api private
  module TypeHints
    KIND = ::Kernel.instance_method(:class)
    TITLE = ::Module.instance_method(:to_s)
    SIZES = [::Array, ::Hash, ::String].to_h { |type| [type, type.instance_method(:size)] }.freeze
    # A date as Ruby shows it: <tt>#<Date: 2024-01-31 ((2460341j,0s,0n),+0s,2299161j)></tt>.
    DATE = /#<Date(?:Time)?: (\S+) \(\([^()]*\)[^()]*\)>/
    private_constant :KIND, :TITLE, :SIZES, :DATE

    class << self
      # @param inputs [Hash{Symbol => Object}] by dependency
      # @raise [TypeError] if one is not of its type
      def check_input(step, inputs)
        hint = step.options[:input]
        hints = hint.is_a?(Hash) ? hint : inputs.transform_values { hint }
        inputs.each { |name, value| check(hints[name], value, "input #{Name.show(name)}") }
      end

      # @raise [TypeError] if it is not of the type
      def check_output(step, output)
        check(step.options[:output], output, "output")
      end

      # @return [String] the class and size of the value, never the value itself: +"Array (3)"+
      def describe(value)
        size = size(value)
        "#{kind(value)}#{" (#{size})" if size}"
      end

      # @return [String] the value as Ruby code, or the beginning of it, for messages
      def excerpt(value, most = 80)
        text = Error.text(value.inspect).gsub(DATE, '\1')
        text.size > most ? "#{text[0, most]}…" : text
      rescue ::StandardError
        one(kind(value))
      end

      # @param kind [String] the name of a class, or words about one
      # @return [String] with its article: +"an Integer"+, +"a String"+
      def one(kind)
        "#{kind.match?(/\A(?:[AEIO]|Un(?!i))/i) ? "an" : "a"} #{kind}"
      end

      # @return [Integer, nil] the size of an Array, Hash or String
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

        raise ::TypeError, "#{what} is #{describe(value)}, not #{hint.inspect}", []
      end
    end
  end
end
