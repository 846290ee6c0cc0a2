# frozen_string_literal: true

module Flowline
  module Identity
    # The forms in which messages may contain a secret: a text escaped for URLs, HTML, JSON and Ruby, and in Base64; a number plain,
    # with an exponent, with two decimals, and with its thousands separated. Parts, digests and other transformations of a secret
    # are not recognised.
    # @api private
    module Notations
      HTML = { "&" => "&amp;", "<" => "&lt;", ">" => "&gt;", '"' => "&quot;", "'" => "&#39;" }.freeze
      JSON = { '"' => '\\"', "\\" => "\\\\", "\n" => "\\n", "\t" => "\\t", "\r" => "\\r", "\b" => "\\b", "\f" => "\\f" }.freeze
      private_constant :HTML, :JSON

      class << self
        # @param text [String] in UTF-8
        # @return [Array<String>]
        def of_text(text)
          json = text.gsub(/["\\\x00-\x1f]/) { |char| JSON[char] || format("\\u%04x", char.ord) }
          base64 = [text].pack("m0")
          codes = [base64, base64.tr("+/", "-_")].flat_map { |code| [code, code.delete("=")] }
          [*urls(text), text.gsub(/[&<>"']/, HTML), json, *in_ascii(text, json), *codes]
        end

        # @param number [Numeric]
        # @return [Array<String>]
        def of_number(number)
          return [] unless number.real? && number.finite?

          float = number.to_f
          texts = [number.to_s]
          texts << number.to_i.to_s if number == number.to_i
          texts << number.to_s("F") if defined?(::BigDecimal) && ::BigDecimal === number
          texts.push(float.to_s, format("%.2f", float), format("%e", float)) if float.finite? && float == number
          texts + %w[, _].flat_map { |mark| texts.map { |text| separated(text, mark) } }
        end

        private

        # In JSON and in Ruby that have ASCII only.
        def in_ascii(text, json)
          return [] if text.ascii_only?

          [json.gsub(/[^\x00-\x7f]/) { |char| char.encode("UTF-16BE").unpack("n*").map { |unit| format("\\u%04x", unit) }.join }, text.dump[1..-2]]
        end

        def urls(text)
          safe = [/[^A-Za-z0-9_.~-]/n, /[^A-Za-z0-9_.*-]/n] # In addresses and in forms, which some write with "+" for a space.
          urls = safe.map { |others| text.b.gsub(others) { |byte| format("%%%02X", byte.ord) } }
          urls.flat_map { |url| [url, url.gsub("%20", "+")] }.flat_map { |url| [url, url.gsub(/%\h\h/, &:downcase)] }
        end

        def separated(text, mark)
          text.sub(/\d{4,}/) { |digits| digits.reverse.scan(/\d{1,3}/).join(mark).reverse }
        end
      end
    end
  end
end
