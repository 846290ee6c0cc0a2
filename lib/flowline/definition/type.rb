# frozen_string_literal: true

module Flowline
  class Definition
    # The types of params. A value is coerced only if nothing is lost.
    module Type
      # Raised for a value that is not of the type. Its message ends a sentence that begins with the name of the param.
      class Mismatch < Error; end

      number = ->(text) { Integer(text, 10) }
      boolean = { "true" => true, "yes" => true, "1" => true, "false" => false, "no" => false, "0" => false }
      json = lambda do |text, opening|
        require "json"
        text.lstrip.start_with?(opening) ? ::JSON.parse(text) : raise(ArgumentError)
      end
      exactly = ->(converted, value) { converted == value ? converted : raise(ArgumentError) }
      # Float() returns Infinity or 0 for numbers that a Float cannot hold, and rounds those of more than 15 digits. Text that Ruby
      # prints for a Float is accepted.
      float = lambda do |text|
        value = Float(text)
        raise ArgumentError if value.infinite? || (value.zero? && text.match?(/\A[^ep]*[1-9]/i))

        digits = text.delete("_")[/\A[^ep]*/i].delete("^0-9").sub(/\A0+/, "")
        next value if digits.size <= 15 || text.match?(/\A\s*[+-]?0x/i) || value.to_r == text.to_r || value.to_s == text.strip

        raise Mismatch, "must be a number that a Float holds exactly, not #{TypeHints.excerpt(text)}; declare the param with type: :decimal"
      end
      # A comma at the end, or two in a row, stand for an element without text.
      list = ->(text) { text.strip.empty? ? [] : text.split(",", -1).map(&:strip) }

      # By type, the accepted classes and the conversion of each.
      COERCIONS = {
        any: { BasicObject => ->(v) { v } },
        string: { String => ->(v) { v }, Symbol => :to_s.to_proc },
        symbol: { Symbol => ->(v) { v }, String => :to_sym.to_proc },
        integer: { Integer => ->(v) { v }, String => number, Numeric => ->(v) { exactly.call(Integer(v), v) } },
        float: { Float => ->(v) { v }, String => float, Numeric => ->(v) { exactly.call(Float(v), v) } },
        decimal: { Numeric => ->(v) { decimal(v) }, String => ->(v) { decimal(v) } },
        boolean: { TrueClass => ->(v) { v }, FalseClass => ->(v) { v },
                   String => ->(v) { boolean.fetch(v.downcase) } },
        date: { "DateTime" => ->(v) { exactly.call(v.to_date, v) }, "Date" => ->(v) { v }, String => ->(v) { date(v) } },
        time: { Time => ->(v) { v }, "DateTime" => :to_time.to_proc, String => ->(v) { time(v) } },
        array: { Array => ->(v) { v }, String => ->(v) { v.lstrip.start_with?("[") ? json.call(v, "[") : list.call(v) } },
        hash: { Hash => ->(v) { v }, String => ->(v) { json.call(v, "{") } }
      }.freeze

      # Descriptions of the types, for messages.
      EXAMPLES = {
        date: "a date such as 2024-01-31", time: "a time such as 2024-01-31T12:00:00Z", integer: "a whole number",
        float: "a number", decimal: "a decimal number", boolean: "true or false", array: "an Array, or a,b,c", hash: "a Hash, or JSON",
        string: "a String", symbol: "a Symbol", any: "anything"
      }.freeze
      private_constant :EXAMPLES

      # The form of a date.
      DAY = /\A\d{4,}-\d\d?-\d\d?\z/
      CLASSES = { "Integer" => :integer, "Float" => :float, "String" => :string, "Symbol" => :symbol, "Date" => :date,
                  "Time" => :time, "Array" => :array, "Hash" => :hash, "BigDecimal" => :decimal }.freeze
      private_constant :CLASSES, :DAY

      class << self
        # @param type [Symbol, Class]
        # @return [Boolean]
        def known?(type)
          type.is_a?(Module) || COERCIONS.key?(type)
        end

        # Loads the library of a type, so that defaults can use its class.
        # @param type [Symbol, Class]
        # @return [void]
        def load(type)
          require type.to_s if %i[date time].include?(type)
        end

        # @param type [Symbol, Class]
        # @param value [Object] not nil
        # @return [Object] a value of the type
        # @raise [Mismatch] if it is not of the type and cannot be converted without loss
        def coerce(type, value)
          type = CLASSES.fetch(type.name, type) if type.is_a?(Module)
          return type === value ? value : mismatch(type, value) if type.is_a?(Module)

          return mismatch(type, value) unless type == :any || Object === value # Active Support's Time calls methods of the value.

          _, coercion = COERCIONS[type].find { |from, _| loaded(from) === value }
          coercion ? coercion.call(value) : mismatch(type, value)
        rescue ArgumentError, KeyError, RangeError, TypeError, EncodingError
          mismatch(type, value)
        rescue StandardError => e
          raise unless e.class.name.to_s.start_with?("JSON::")

          mismatch(type, value)
        end

        # @return [String] the type, for messages
        def show(type)
          return EXAMPLES.fetch(type, type.to_s) unless type.is_a?(Module)

          TypeHints.one(type.to_s)
        end

        private

        # @return [Module, nil] a class; nil if its library is not loaded, so that no value is of it
        def loaded(from)
          return from unless from.is_a?(String)

          Object.const_get(from) if Object.const_defined?(from)
        end

        def mismatch(type, value)
          missing = type == :date && String === value && value.ascii_only? && value.match?(DAY)
          raise Mismatch, "must be #{missing ? "a day that exists" : show(type)}, not #{TypeHints.excerpt(value)}", cause: nil
        end

        def decimal(value)
          begin
            require "bigdecimal"
          rescue LoadError
            raise Error, "params of type :decimal need the bigdecimal gem; add it to the Gemfile"
          end
          decimal = value.is_a?(BigDecimal) ? value : BigDecimal(value.to_s)
          decimal.finite? || value.is_a?(BigDecimal) ? decimal : raise(ArgumentError)
        end

        def date(text)
          require "date"
          text.match?(DAY) ? Date.strptime(text, "%Y-%m-%d") : raise(ArgumentError)
        end

        def time(text)
          require "time"
          date(text[/\A[^T]*/i]) # Time.iso8601 takes February 30 for March 1.
          Time.iso8601(text)
        end
      end
    end
  end
end
