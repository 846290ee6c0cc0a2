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
        @step_digests = []
      end

      # The key of records in the memory of this process.
      KEY = Random.urandom(32).freeze
      private_constant :KEY

      # @return [#call] returns the secret key of the store
      attr_writer :key

      # Returns the digest of a step, which does not change after {#note_code}: that of its code, and a keyed one of the secrets
      # that it can see. So an output that was made with another secret is not restored.
      # @param id [Integer]
      # @return [String]
      def step_digest(id)
        @step_digests[id] ||= begin
          code = @codes ? @pipeline.step_digest(id, @codes[id]) : @pipeline.step_digest(id)
          secrets.empty? ? code : [code, *sealed(secrets_of(id))].join(" ").freeze
        end
      end

      # Notes what the steps are before any is called, because a step may change the values that others have captured. Digests are
      # computed when they are needed.
      # @return [void]
      def note_code
        return step_digests if @step_digests.any? || secrets.any? # A step may change these values, too.

        @codes = @pipeline.steps.each_index.map { |id| @pipeline.step_code(id) }
      end

      # @return [Array<String>] the digests of all steps, frozen
      def step_digests
        return @step_digests = @pipeline.step_digests if @step_digests.empty? && @codes.nil? && secrets.empty?

        @pipeline.steps.each_index { |id| step_digest(id) }
        @step_digests
      end

      # @param id [Integer]
      # @return [Array<Symbol>] the secret params that a step can see
      def secrets_of(id)
        return [] if secrets.empty?

        step = @pipeline.steps[id]
        return secrets.keys if sees_all?(step) || @pipeline.calls.contextual[id]

        named = Arguments::Signature.of(step.callable).parameters
        secrets.keys.select { |name| named.any? { |kind, parameter| kind == :keyrest || parameter == name } }
      end

      # @return [Boolean] whether outputs of the step are recorded
      def records?(step)
        @request.checkpoint? && step.options[:checkpoint] != false
      end

      # Returns whether the run leaves nothing to resume.
      # @param checkpoint [Checkpoint] of the run that it resumed
      def done?(result, checkpoint)
        Recording.done?(@request, result, checkpoint)
      end

      # Returns whether the step was skipped for another reason than the selection. A resumed run need not run it either.
      def passed_over?(result)
        result.skipped? && result.reason != :not_selected
      end

      # Returns whether what the step has written into the state belongs to the run: it was called or restored. A run that leaves a
      # step out does not commit what an earlier run of that step has written.
      def settled?(result)
        (result.status == :restored && result.reason != :given) || result.attempts.positive?
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

      # Raises if a step of the run to resume was called with a secret that was not given again.
      # @param checkpoint [Checkpoint]
      # @return [void]
      # @raise [CheckpointError]
      def keep_secrets(checkpoint)
        return if secrets.empty?

        name = checkpoint.entries.each_with_index.lazy.filter_map { |entry, id| entry && lost(id, entry) }.first or return
        why = "run #{checkpoint.run.run_id} cannot be resumed: it had another value of the secret param #{Name.show(name)}; give it again"
        raise CheckpointError.new([], pipeline_name: @pipeline.name, why: why)
      end

      private

      # @return [Symbol, nil] a secret that the recorded step had, and that was not given again
      def lost(id, entry)
        return if entry.step_digest == step_digest(id) || entry.step_digest.split.first != step_digest(id).split.first

        secrets_of(id).find { |name| @request.omits?(name) }
      end

      def secrets
        @secrets ||= @request.secrets
      end

      # Returns whether a step or its conditions may get any param.
      def sees_all?(step)
        step.group || step.options.key?(:when) || step.options.key?(:unless) || !(Proc === step.callable || Method === step.callable)
      end

      # @return [String, nil] a digest that nobody without the key can compare with that of a guessed value
      def sealed(names)
        return if names.empty?

        values = secrets.values_at(*names).map { |value| Identity::Digest.try(value) || @unlike.call(value) }
        Native.digest([@key ? @key.call : KEY, names, values])
      end

      # Digests the values one by one. A value that cannot be digested may differ from the earlier one, so it is never equal.
      # In a context such values are often loggers or clients, so that only their class counts.
      def digest(params, input, context)
        strict = [params.flatten(1), input || []].map { |values| values.map { |value| Identity::Digest.try(value) || @unlike.call(value) } }
        Native.digest([*strict, context.flatten(1).map { |value| Identity::Digest.try(value) || TypeHints.kind(value) }])
      end
    end
  end
end
