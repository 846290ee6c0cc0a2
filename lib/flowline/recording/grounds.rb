# frozen_string_literal: true

module Flowline
  module Recording
    # The grounds of a decision about a step, for history: the reason, and the parts of its cache key. They are the members +plan+,
    # +missed+, +key+ and +parts+ of a JSON object, with short digests instead of values. If the run has secrets, the digests are keyed,
    # so that a value cannot be guessed without the store.
    # @api private
    class Grounds
      # Characters of a digest.
      DIGEST = 12
      # Characters of a reason.
      TEXT = 300
      private_constant :DIGEST, :TEXT

      # @param environment [Execution::Environment]
      # @yieldreturn [String] the secret key of the store
      def initialize(environment, &key)
        @context = environment.context
        @caching = environment.caching
        @reasons = environment.presets&.reasons
        @key = key
      end

      # @param id [Integer] a step that was called or cached
      # @return [String, nil] members of a JSON object; nil: there is nothing to say
      def of(id)
        reason = @reasons&.[](id)
        grounds = @caching.grounds[id]
        return unless reason || grounds

        members = +""
        members << "\"plan\":#{Native.quote(@context.mask(Error.text(reason))[0, TEXT])}," if reason
        add(members, grounds) if grounds
        members.chop!
      end

      private

      # Reasons of the cache and digests need no quotes of their own.
      def add(members, grounds)
        members << "\"missed\":\"" << grounds.missed << "\"," if grounds.missed
        members << "\"key\":\"" << short(grounds.key) << "\"," if grounds.key
        return unless grounds.parts

        parts = grounds.parts
        parts = parts.map { |kind, name, value| [kind, name, short(value)] } if @context.secrets?
        members << "\"parts\":" << Native.triples(parts, DIGEST) << ","
      end

      def short(digest)
        @context.secrets? ? Native.digest([@key.call, digest])[0, DIGEST] : digest[0, DIGEST]
      end
    end
  end
end
