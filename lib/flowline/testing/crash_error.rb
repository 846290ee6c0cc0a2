# frozen_string_literal: true

module Flowline
  module Testing
    # A run that was killed and resumed did not end like one that was not killed.
    class CrashError < Error
      # Problems that the message lists.
      SHOWN = 8
      private_constant :SHOWN

      # @return [Array<String>] what went wrong, each with the moment at which the run was killed
      attr_reader :problems

      # @param problems [Array<String>]
      # @param tried [Integer] the moments at which the run was killed
      # @param all [Integer] the moments that there are
      def initialize(problems, tried, all)
        @problems = problems
        shown = problems.first(SHOWN).map { |problem| "\n  - #{problem}" }.join
        more = "\n  - #{problems.size - SHOWN} more" if problems.size > SHOWN
        super("the run was killed at #{tried} of #{all} moments, and #{problems.size} times it did not end as without that:#{shown}#{more}")
      end
    end
  end
end
