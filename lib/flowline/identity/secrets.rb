# frozen_string_literal: true

module Flowline
  module Identity
    # The values of secret params and everything in them, in the forms in which messages and records could contain them.
    # @api private
    class Secrets
      # The number of objects that are searched. If a value contains more, all +Marshal+ data counts as containing it.
      MOST = 1000
      # Texts up to this length are redacted only as whole words.
      SHORT = 2
      # Lines of a secret with several lines are secrets themselves from this length on, because they may be logged one by one.
      LINE = 6
      VARIABLES = ::Kernel.instance_method(:instance_variables)
      VARIABLE = ::Kernel.instance_method(:instance_variable_get)
      private_constant :MOST, :SHORT, :LINE, :VARIABLES, :VARIABLE

      # @param values [Array<Object>]
      def initialize(values)
        @texts = []
        @stored = []
        @seen = {}.compare_by_identity
        values.each { |value| add(value) }
        @stored.uniq!
        @texts = @texts.map { |text| Error.text(text) }.uniq.reject(&:empty?).sort_by { |text| -text.size }
      end

      # @param bytes [String] +Marshal+ data
      # @return [Boolean] whether it may contain a secret
      def in?(bytes)
        @unknown || @stored.any? { |form| bytes.include?(form) }
      end

      # @param text [String]
      # @return [String] in UTF-8, with the secrets redacted
      def mask(text)
        @texts.reduce(Error.text(text)) do |masked, secret|
          masked.gsub(secret.size > SHORT ? secret : /(?<!\p{Alnum})#{Regexp.escape(secret)}(?!\p{Alnum})/, "[secret]")
        end
      end

      private

      # Adds a value and its parts. The text of an object can appear in messages; some parts appear only in +Marshal+ data.
      def add(value, shown: true)
        return if @seen[value] || (@unknown ||= @seen.size > MOST)

        @seen[value] = true
        case value
        when nil, true, false, ::Module then return
        when ::String, ::Symbol then add_text(value.to_s, shown)
        when ::Numeric then add_number(value, shown)
        else @texts.push(value.to_s, value.inspect) if shown
        end
        parts(value).each { |part| add(part, shown: shown) }
        add(hidden(value), shown: false)
      rescue StandardError, SystemStackError # Its methods are the user's.
        @unknown = true
      end

      def add_text(text, shown)
        plain = Error.text(text)
        @texts.push(plain, text.inspect[1..-2], text.b.inspect[1..-2]) if shown
        return if text.empty?

        notations = plain.size > SHORT ? Notations.of_text(plain) : []
        @texts.concat(notations) if shown
        @stored.concat(notations.map(&:b))

        plain.split(/\R/).each { |line| add_text(line, shown) if line.size >= LINE && line.size < plain.size }
        @stored.concat([plain.b, text.b].map { |bytes| plain.size > SHORT ? bytes : Marshal.dump(bytes)[2..] })
      end

      # Adds a number as text, in every notation that it has in Ruby, and in the format of +Marshal+.
      def add_number(number, shown)
        text = number.to_s
        notations = Notations.of_number(number)
        @texts.push(text, *notations) if shown
        @stored.push(text, *notations, Marshal.dump(number)[2..]) if text.size > SHORT
      end

      # Returns the keys of a Hash that are data. Symbols are names in the user's code: they are redacted, but an output that has
      # them is recorded. Short ones would redact half of every message.
      def keys(hash)
        names, data = hash.keys.partition { |key| ::Symbol === key }
        @texts.concat(names.map(&:name).select { |name| name.size > SHORT })
        data.reject { |key| ::String === key && key.size <= SHORT }
      end

      def parts(object)
        variables = VARIABLES.bind_call(object).map { |name| VARIABLE.bind_call(object, name) }
        inner = case object
                when ::Array then object
                when ::Hash then keys(object) + object.values
                when ::Range then [object.begin, object.end]
                when ::Exception then [object.message]
                when ::Regexp then [object.source]
                else several(object)
                end
        variables + inner
      end

      def several(object)
        return object.to_h.values if object.respond_to?(:members) # Struct and Data.

        defined?(::Set) && ::Set === object ? object.to_a : []
      end

      def hidden(object)
        return object.__send__(:marshal_dump) if object.respond_to?(:marshal_dump, true)

        object.__send__(:_dump, -1) if object.respond_to?(:_dump, true)
      end
    end
  end
end
