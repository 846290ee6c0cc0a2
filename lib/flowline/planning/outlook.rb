# frozen_string_literal: true

module Flowline
  module Planning
    # The ways in which a step may end in a run, as far as they are known before the run.
    #
    # +tokens+ are the tokens that the step may end with (see {Recording::Provenance}). +:new+ stands for a token that no
    # recorded output was made of, +:any+ for a token that is not known yet. +absence+ says whether the step ends without an
    # output for another reason than a failure: +:never+, +:maybe+ or +:surely+. +cause+ is the part of the reason that says why the
    # step is called if it is.
    # @api private
    Outlook = Struct.new(:action, :reason, :tokens, :absence, :cause) do
      # @return [Boolean] whether the step is called, or may be
      def calls?
        action == :run || action == :unknown
      end

      # @return [Boolean] whether its output is available before the run
      def there?
        action == :restore || action == :reuse
      end

      # @return [Boolean] whether the value that its dependents get is known
      def known?
        there? || absence == :surely
      end

      # @param token [String]
      # @return [Boolean] whether it ends with that token, and no other is possible
      def surely?(token)
        tokens.size == 1 && tokens.first == token
      end

      # Returns whether the step ends with this token.
      # @param token [String]
      # @return [Boolean, nil] nil: not known before the run
      def ends_with?(token)
        return tokens.include?(:any) ? nil : false unless tokens.include?(token)

        tokens.size == 1 || nil
      end
    end
  end
end
