# frozen_string_literal: true

require "digest"
require "uri"

module Flowline
  class Web
    # Names of pipelines and steps as parts of a URL. A name can be any text: empty, "..", or 10 KB long. If browsers or servers
    # would change or refuse it, it is written as "~" and a digest.
    # @api private
    module Names
      # Bytes of a name in a URL, above which its digest is written.
      LONGEST = 400
      PLAIN = /\A(?!~|\.{1,2}\z)./m
      private_constant :LONGEST, :PLAIN

      class << self
        # @param name [String, Symbol]
        # @return [String] a segment of a path, escaped
        def segment(name)
          escaped = URI.encode_www_form_component(name.to_s).gsub("+", "%20")
          PLAIN.match?(name.to_s) && escaped.bytesize <= LONGEST ? escaped : "~#{Digest::SHA256.hexdigest(name.to_s)[0, 32]}"
        end

        # @param segment [String] a segment of a path, unescaped
        # @param position [Boolean] whether "~12" is the name at position 12
        # @yieldreturn [Array<String, Symbol>] the names that exist
        # @return [String, nil] a name, which may not exist; nil: no existing name has that digest
        def resolve(segment, position: false)
          return segment unless segment.start_with?("~")

          names = yield.map(&:to_s)
          at = segment[/\A~(\d{1,6})\z/, 1] if position
          at ? names[at.to_i] : names.find { |name| Names.segment(name) == segment }
        end
      end
    end
  end
end
