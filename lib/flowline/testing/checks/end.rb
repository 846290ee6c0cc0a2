# frozen_string_literal: true

module Flowline
  module Testing
    module Checks
      # Steps end in a certain way without being called.
      class End < Check
        # @param status [Symbol] as {StepResult#status}
        # @param names [Array<Symbol, String>] if it is about a run
        # @param reason [Symbol, nil] as {StepResult#reason}
        def initialize(status, names, reason: nil)
          super()
          @status = status
          @names = names
          @reason = reason
        end

        # Adds the reason.
        # @param reason [Symbol]
        # @return [self]
        def because(reason)
          @reason = reason
          self
        end

        # @return [String]
        def description
          words = @reason == :given ? "given" : "#{@status}#{" because of #{@reason}" if @reason}"
          @names.empty? ? "be #{words}" : "have #{words} #{@names.map { |name| Name.show(name) }.join(", ")}"
        end

        private

        def predicate = @names.empty? ? :"#{@status}?" : :"has_#{@status}?"
        def arguments = @names

        def holds?
          other.nil?
        end

        # None of several steps may have ended so.
        def fails?
          results.none? { |result| ended_so?(result) }
        end

        def results
          raise ArgumentError, "name a step of the run" if @names.empty? && Result === @subject

          names(@names).map { |name| step(name) }
        end

        def ended_so?(result)
          result.status == @status && (@reason.nil? || result.reason == @reason)
        end

        def other
          results.find { |result| !ended_so?(result) }
        end

        def actual
          "#{ending(other)}#{account}"
        end
      end
    end
  end
end
