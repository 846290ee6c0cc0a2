# frozen_string_literal: true

module Flowline
  # Names of steps, params and nested pipelines: Symbols of any characters.
  # @api private
  module Name
    ASCII = Encoding::US_ASCII
    UTF8 = Encoding::UTF_8
    # So many names are listed in a message.
    MOST = 40
    private_constant :ASCII, :UTF8, :MOST

    # @param value [Symbol, String]
    # @return [Symbol] in UTF-8, with bytes that are not text written as +\xNN+, so that it can be shown everywhere
    # @raise [DefinitionError] if it is neither
    def self.of(value)
      symbol = value.is_a?(Symbol) ? value : convert(value)
      encoding = symbol.encoding
      return symbol if ASCII.equal?(encoding) || UTF8.equal?(encoding)

      text = symbol.name
      text = encoding == Encoding::BINARY ? +text : text.encode("UTF-8", invalid: :replace, undef: :replace)
      (+text).force_encoding("UTF-8").scrub { |bytes| bytes.unpack("C*").map { |byte| format("\\x%02X", byte) }.join }.to_sym
    end

    # @param values [Hash] by names, which may be Strings, as in a Hash that was parsed
    # @param problems [Array<String>] gets what is wrong
    # @return [Hash] by Symbols
    def self.keys(values, problems)
      return values unless values.any? { |name, _| name.is_a?(String) }

      values.each_with_object({}) do |(name, value), named|
        name = Error.text(name).to_sym if name.is_a?(String)
        problems << "param #{show(name)} is given twice, as a Symbol and as a String" if named.key?(name)
        named[name] = value
      end
    end

    # @param value [Symbol, String, Array, nil] one name, several, or none
    # @return [Array<Symbol>] without repetitions
    def self.list(value)
      case value
      when nil then []
      when Array then several(value)
      else [of(value)]
      end
    end

    # @return [String] the name on one line, for messages
    def self.show(name)
      text = name.to_s
      text.empty? ? '""' : Text.line(text)
    end

    # @param known [String, nil] introduces the list of all candidates if none is near
    # @return [String] +"; did you mean x?"+, or +"; known are x, y"+, or nothing
    def self.suggest(word, candidates, known: nil)
      nearest = Native.nearest(word.to_s, candidates.map(&:to_s))
      return "; did you mean #{show(nearest)}?" if nearest

      known && !candidates.empty? ? "; #{known} #{list_up(candidates)}" : ""
    end

    # @param names [Array<Symbol, String>]
    # @return [String] the names in a row; of many, the first ones
    def self.list_up(names)
      shown = names.first(MOST).map { |name| show(name) }.join(", ")
      names.size > MOST ? "#{shown} and #{names.size - MOST} more" : shown
    end

    def self.several(values)
      names = values.map { |name| of(name) }
      names.uniq! if names.size > 1
      names
    end

    def self.convert(value)
      return value.to_sym if value.is_a?(String) && value.valid_encoding?

      raise DefinitionError, "a name is a Symbol or a String of valid text, not #{value.inspect[0, 60]}"
    end
    private_class_method :several, :convert
  end
end
