# frozen_string_literal: true

module Flowline
  class Web
    class Fields
      # The declaration of a param, as texts.
      # @api private
      module Facts
        # Classes as types.
        CLASSES = { "BigDecimal" => :decimal }.freeze
        # Types that are typed as they are.
        TEXTS = %i[string symbol any].freeze
        # Characters of a value.
        MOST = 200
        private_constant :CLASSES, :TEXTS, :MOST

        class << self
          # @param param [Param]
          # @return [Symbol] one of {Definition::Type::COERCIONS}, or the name of a class in small letters
          def type(param)
            param.type.is_a?(Module) ? CLASSES.fetch(param.type.to_s, param.type.to_s.downcase.to_sym) : param.type
          end

          # @param param [Param]
          # @return [String] its type in words
          def kind(param)
            TEXTS.include?(type(param)) ? "text" : Flowline::Definition::Type.show(param.type)
          end

          # @param param [Param]
          # @return [Array(String, String)] its default and the values that are allowed, for a table
          def of(param)
            [secretly(param) { decided?(param) ? "decided by each run" : default(param) }, secretly(param) { allowed(param) }]
          end

          # @return [String] the default as it would be typed; "" if there is none, or none that can be typed
          def default(param)
            decided?(param) || param.secret? || param.default.nil? ? "" : written(param.default) || ""
          end

          # @param typed [String]
          # @return [Object] what was typed, or the allowed value that is written so
          def value(param, typed)
            list(param)&.find { |value| !value.is_a?(String) && written(value) == typed } || typed
          end

          # @return [Array<String>, nil] the values to choose from; nil: any can be typed
          def choices(param)
            return %w[true false] if type(param) == :boolean && param.in.nil?

            values = list(param)&.map { |value| written(value) }
            values if values&.all?
          end

          # @return [Hash{Symbol => String}] the limits of a number or a date
          def limits(param)
            range = param.in if param.in.is_a?(Range)
            first, last = [range.begin, range.exclude_end? ? nil : range.end].map { |limit| written(limit) } if range
            { step: { integer: "1", float: "any" }[type(param)], min: first, max: last }.compact
          end

          # @return [String] what may be typed, and what happens without a value
          def hint(param)
            kinds = param.in.nil? || choices(param) ? kind(param) : "#{kind(param)}, in #{allowed(param)}"
            kinds = "secret: it is never shown, and has to be typed again for each run" if param.secret?
            [param.description&.to_s, kinds, (omitted(param) unless param.required?)].compact.map { |words| Name.show(words)[0, MOST] }.join(" · ")
          end

          # @return [String] what is taken if nothing is typed
          def omitted(param)
            return "empty: each run decides" if decided?(param)
            return "empty: no value" if param.default.nil?

            param.secret? ? "empty: its default" : "empty: #{(written(param.default) || TypeHints.kind(param.default))[0, MOST]}"
          end

          private

          def decided?(param)
            param.default.respond_to?(:call)
          end

          def secretly(param)
            param.secret? ? "secret" : yield
          end

          def list(param)
            param.in.to_a if param.in.is_a?(Array) || (defined?(::Set) && ::Set === param.in)
          end

          def allowed(param)
            return [written(param.in.begin), written(param.in.end)].join(param.in.exclude_end? ? "..." : "..") if param.in.is_a?(Range)

            values = list(param)&.map { |value| written(value) }
            return values.join(", ") if values&.all?

            param.in.nil? ? "" : TypeHints.excerpt(param.in)
          end

          # A value as it is typed; nil: it cannot be.
          def written(value)
            case value
            when String then value if Text.plain(value) == value
            when Symbol then written(value.name)
            when Integer, Float, true, false then value.to_s
            when Array, Hash then json(value)
            else time(value) || (value.to_s("F") if defined?(::BigDecimal) && ::BigDecimal === value)
            end
          end

          def time(value)
            return value.iso8601(value.subsec.zero? ? 0 : 6) if ::Time === value && value.respond_to?(:iso8601)

            value.iso8601 if defined?(::Date) && ::Date === value
          end

          def json(value)
            text = ::JSON.generate(value)
            text if ::JSON.parse(text) == value
          rescue ::JSON::GeneratorError
            nil
          end
        end
      end
    end
  end
end
