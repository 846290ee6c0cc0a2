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
      private_constant :PARAM, :TEXT, :SECRET

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
          "#{Native.quote(Error.text(name))}:#{value.nil? ? "null" : Native.quote(text(value, context)[0, PARAM])}"
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
          kind, size, text = Native.preview(output)
          return [kind, size, text] unless context.secrets?

          [kind, size, (context.mask(text) if searched)]
        end

        # @param bytes [String, nil] +Marshal+ data of this process, without secrets
        # @return [String] the value as a short text
        def bytes(bytes, context)
          bytes ? context.mask(Native.preview(Marshal.load(bytes)).last) : "" # rubocop:disable Security/MarshalLoad -- just dumped
        end

        # @param retries [Array<Array(Float, Event::Retry)>] when attempts failed, in seconds from the start of the run, and why
        # @return [String, nil] the last of them as JSON
        def detail(retries, context)
          return if retries.nil?

          attempts = retries.map do |ended, again|
            error = context.mask(Error.account(again.error))[0, TEXT]
            item = ",\"item\":#{again.item}" if again.item
            "{\"number\":#{again.attempt}#{item},\"ended\":#{ended.round(6)},\"wait\":#{again.wait.to_f.round(6)},\"error\":#{Native.quote(error)}}"
          end
          "{\"attempts\":[#{attempts.join(",")}]}"
        end

        private

        def text(value, context)
          plain = Error.text(value)
          context ? context.mask(plain) : plain
        rescue StandardError
          TypeHints.kind(value)
        end
      end
    end
  end
end
