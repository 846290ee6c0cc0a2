# frozen_string_literal: true

module Flowline
  module Recording
    # The run that is recorded: its pipeline, its options, and what identifies both.
    # @api private
    class Subject
      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @return [Subject] of a run that is recorded in a store, where no other process has the same object; or in memory
      def self.of(pipeline, request)
        pipeline.name && request.store? ? new(pipeline, request) { Random.urandom(16) } : new(pipeline, request, &:__id__)
      end

      # @return [Pipeline]
      attr_reader :pipeline
      # @return [Planning::RunOptions]
      attr_reader :request

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @yieldparam object [Object] a value that cannot be digested
      # @yieldreturn [Object] a value that is equal only for the same object
      def initialize(pipeline, request, &unlike)
        @pipeline = pipeline
        @request = request
        @unlike = unlike
        @imprints = []
      end

      # @param id [Integer]
      # @return [String] the imprint of the step (see {Pipeline#imprint}), which does not change during the run
      def imprint(id)
        @imprints[id] ||= @pipeline.imprint(@pipeline.steps[id])
      end

      # @return [Boolean] whether outputs of the step are recorded
      def records?(step)
        @request.checkpoint? && step.options[:checkpoint] != false
      end

      # Returns whether the run leaves nothing to resume.
      # @param entries [Hash{Symbol => Entry}] what it resumed
      def done?(result, entries)
        result.success? && !@request.keep? && !(@request.picks? && result.steps.any? { |step| step.reason == :not_selected }) &&
          !result.collected? && entries.none? { |name, entry| entry.collected && result[name]&.status == :restored }
      end

      # Returns whether the step was skipped for another reason than the selection. A resumed run need not run it either.
      def passed_over?(result)
        result.skipped? && result.reason != :not_selected
      end

      # Returns whether what the step has written into the state belongs to the run: it was called or restored. A run that leaves a
      # step out does not commit what an earlier run of that step has written.
      def settled?(result)
        result.status == :restored || result.attempts.positive?
      end

      # Returns the identity of the run: equal params, input and context have the same one.
      def identity
        @identity ||= begin
          given = [known.sort, @request.input? && [@request.input], @request.values.sort_by { |key, _| key.to_s }]
          Identity::Digest.try(given) || digest(*given)
        end
      end

      # @return [String] the name under which its runs exclude each other
      def scope
        @pipeline.name || "unnamed #{@pipeline.__id__}"
      end

      # @return [Hash{Symbol => Object}] the params that are not secret
      def known
        @request.params.except(*@request.secrets.keys)
      end

      private

      # Digests the values one by one. A value that cannot be digested may differ from the earlier one, so it is never equal.
      # In a context such values are often loggers or clients, so that only their class counts.
      def digest(params, input, context)
        strict = [params.flatten(1), input || []].map { |values| values.map { |value| Identity::Digest.try(value) || @unlike.call(value) } }
        Native.digest([*strict, context.flatten(1).map { |value| Identity::Digest.try(value) || TypeHints.kind(value) }])
      end
    end
  end
end
