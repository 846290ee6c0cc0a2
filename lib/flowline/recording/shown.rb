# frozen_string_literal: true

module Flowline
  module Recording
    # The short texts that people see of a run in history. They never contain the value of a secret.
    # @api private
    module Shown
      # The maximum number of warnings of a run, and of retries of a step.
      MOST = 20
      # The maximum number of characters of a param, and of a warning or an error.
      PARAM = 200
      TEXT = 500
      SECRET = "[secret]"
      # The columns of a step without items.
      NO_ITEMS = [nil, nil, nil, nil].freeze
      # The columns of a step without an output.
      NO_OUTPUT = [nil, nil, nil].freeze
      # The classes of values that are shown as a param of their class is.
      TIMES = %w[Time Date DateTime].freeze
      private_constant :PARAM, :TEXT, :SECRET, :TIMES

      class << self
        # @param context [Context]
        # @return [String, nil] the params as a JSON object of texts; nil: there are none
        def params(context)
          return if context.params.empty?

          known = context.public_params
          "{#{context.params.map { |name, value| param(name, known.key?(name) ? value : SECRET, context) }.join(",")}}"
        end

        # @param name [Symbol]
        # @param value [Object]
        # @param context [Context, nil] knows what must not be seen
        # @return [String] the member of {params}
        def param(name, value, context = nil)
          "#{Native.quote(Error.text(name))}:#{nil.equal?(value) ? "null" : Native.quote(text(value, context)[0, PARAM])}"
        end

        # @param warnings [Array<String>]
        # @return [String, nil] the first of them as a JSON array
        def warnings(warnings, context)
          "[#{warnings.first(MOST).map { |warning| Native.quote(context.mask(Error.text(warning))[0, TEXT]) }.join(",")}]" unless warnings.empty?
        end

        # @param output [Object]
        # @param searched [Boolean] whether no secret was found in the output
        # @return [Array(String, Integer, String)] its class, its size and a short text
        def output(output, context, searched)
          columns = Native.preview(output)
          columns[2] = (context.mask(columns[2]) if searched) if context.secrets?
          columns
        end

        # @param bytes [String, nil] +Marshal+ data of this process, without secrets
        # @return [String] the value as a short text
        def bytes(bytes, context)
          bytes ? context.mask(value(Marshal.load(bytes))) : "" # rubocop:disable Security/MarshalLoad -- just dumped
        end

        # @param value [Object]
        # @return [String] a value of the state as a short text
        def value(value)
          time?(value) ? Param.text(value) : Native.preview(value).last
        end

        # @param counts [ItemCounts, nil]
        # @return [Array(Integer, Integer, Integer, Integer)] how many items there are, were done, failed and were restored
        def items(counts)
          counts ? [counts.total, counts.done, counts.failed, counts.restored] : NO_ITEMS
        end

        # @param retries [Array<Array(Float, Event::Retry)>, nil] when attempts failed, in seconds from the start of the run, and why
        # @param failed [Array<ItemError>, nil] the items that failed
        # @param grounds [String, nil] see {Grounds}
        # @param report [Hash{Symbol => Numeric}, nil] the numbers that the step has reported
        # @return [String, nil] the attempts, the first failed items, the numbers, and the grounds, as JSON
        def detail(retries, failed, context, grounds, report = nil)
          return grounds && "{#{grounds}}" unless retries || report&.any? || failed&.any?

          members = lists(retries, failed, context)
          members << "\"report\":{#{numbers(report)}}" if report&.any?
          members << grounds if grounds
          "{#{members.join(",")}}"
        end

        private

        # No method of a class of the user is called, and a BasicObject has none.
        def time?(value)
          TIMES.include?(TypeHints.kind(value))
        end

        def lists(retries, failed, context)
          attempts = retries&.map { |ended, again| attempt(ended, again, context) }
          items = failed.first(MOST).map { |error| item(error, context) } if failed&.any?
          { attempts: attempts, items: items }.compact.map { |name, list| "\"#{name}\":[#{list.join(",")}]" }
        end

        def numbers(report)
          report.first(MOST).map { |name, value| "#{Native.quote(Error.text(name))}:#{number(value)}" }.join(",")
        end

        # JSON has neither fractions nor infinity.
        def number(value)
          return value.to_s if ::Integer === value

          float = value.to_f
          float.finite? ? float.to_s : "null"
        end

        def attempt(ended, again, context)
          item = ",\"item\":#{again.item + 1},\"label\":#{Native.quote(context.mask(Error.text(again.label.to_s))[0, PARAM])}" if again.item
          times = "\"ended\":#{ended.round(6)},\"wait\":#{again.wait.to_f.round(6)}"
          "{\"number\":#{again.attempt}#{item},#{times},\"error\":#{error(again.error, context)}}"
        end

        def item(failed, context)
          "{\"item\":#{failed.number},\"label\":#{Native.quote(context.mask(Error.text(failed.label.to_s))[0, PARAM])}," \
            "\"attempts\":#{failed.attempts},\"error\":#{error(failed.original, context)}}"
        end

        def error(error, context)
          Native.quote(context.mask(Error.account(error))[0, TEXT])
        end

        # No method of an object of the user's own class is called.
        def text(value, context)
          plain = ::Array === value || ::Hash === value ? Native.preview(value).last : Param.text(value)
          context ? context.mask(plain) : plain
        end
      end
    end
  end
end
