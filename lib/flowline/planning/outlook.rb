# frozen_string_literal: true

module Flowline
  module Planning
    # The ways a step may end in a run, as far as they can be known before it.
    #
    # +tokens+ are those that the step may end with (see {Recording::Provenance}): +:new+ stands for one that no recorded output
    # was made of, +:any+ for one that is not known yet. +absence+ says whether the step ends without an output, other
    # than by a failure: +:never+, +:maybe+ or +:surely+.
    # @api private
    Outlook = Struct.new(:action, :reason, :tokens, :absence) do
      # @return [Boolean] whether the step is called, or may be
      def calls?
        action == :run || action == :unknown
      end

      # @return [Boolean] whether its output is there before the run
      def there?
        action == :restore || action == :reuse
      end

      # @return [Boolean] whether what dependents get of it is known
      def known?
        there? || absence == :surely
      end

      # @param token [String]
      # @return [Boolean] whether it ends with that token, and no other is possible
      def surely?(token)
        tokens.size == 1 && tokens.first == token
      end

      # Whether it ends with that token.
      # @param token [String]
      # @return [Boolean, nil] nil: the run will tell
      def ends_with?(token)
        return tokens.include?(:any) ? nil : false unless tokens.include?(token)

        tokens.size == 1 || nil
      end
    end
  end
end
