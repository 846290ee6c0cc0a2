# frozen_string_literal: true

module Flowline
  module Recording
    # The provenance of a run's outputs.
    #
    # Each output has a token, which identifies the call that produced it. An output is recorded with its token and with
    # the tokens that the step's dependencies had when it ran. It is restored only if they have the same tokens again.
    #
    # - A step that was called has a unique token, which no other call has in this run or any other.
    # - A cached step has the digest of its output, so that the value in the cache can be compared with the recorded one.
    # - A step without an output, whose dependents get +nil+, always has the same token.
    # - A restored step has its recorded token.
    #
    # Tokens are computed lazily, so a run that records nothing computes none.
    # @api private
    class Provenance
      # The token of a step that was skipped, or of an optional step that failed.
      NOTHING = "-"
      # How a step may end that has no output.
      WITHOUT_OUTPUT = %w[skipped cancelled failed timed_out].freeze
      private_constant :WITHOUT_OUTPUT

      # @param environment [Execution::Environment] of the run
      def initialize(environment)
        @environment = environment
        @dag = environment.dag
        @sealed = false
      end

      # Adds tokens that were recorded, or are known before the run. They hold for steps that have an output in the end.
      # @param tokens [Hash{Integer => String}] by step
      # @return [void]
      def know(tokens)
        (@known ||= {}).merge!(tokens)
      end

      # Digests nothing any more, because that calls the user's code: outputs that have no token yet count as new ones.
      # @return [void]
      def seal
        @sealed = true
      end

      # @param id [Integer] a step that has ended, or whose output is available
      # @return [String] without spaces
      def token(id)
        (@tokens ||= {})[id] ||= make(id)
      end

      # @param id [Integer]
      # @return [Array<String>] the tokens of the step's dependencies, in the order of +DAG#inputs+
      def made_of(id)
        tokens(@dag.inputs(id))
      end

      # @param id [Integer] a step that is called for each item
      # @return [Array<String>] the tokens of the other dependencies: an item is known by its position and digest
      def items_made_of(id)
        tokens(@dag.other_inputs(id))
      end

      # @param output [Object] of a cached step
      # @return [String, nil]
      def self.content(output)
        Identity::Digest.try(output)
      end

      private

      def tokens(ids)
        ids.map { |id| token(id) }
      end

      def make(id)
        output = @environment.outputs[id]
        outcome = @environment.run.step(id).first.to_s if nil.equal?(output) # A BasicObject has no `nil?`.
        return NOTHING if outcome && Recording.skipped?(@dag.steps[id], outcome)
        return @known[id] if @known&.key?(id) && !WITHOUT_OUTPUT.include?(outcome)

        (Provenance.content(output) if @environment.caches?(id) && !@sealed) || "#{@environment.context.run_id}/#{id}"
      end
    end
  end
end
