# frozen_string_literal: true

module Flowline
  module Planning
    # The choice of the run that +resume:+ resumes before its params are known: a run with a certain id, or the latest run
    # that can be resumed, if no params are given. Its params are adopted; secrets have to be given again.
    # @api private
    class Adoption
      # @return [Store::Run, nil] the run whose params were adopted; nil: the params that are given say which run it is
      attr_reader :run

      # @param pipeline [Pipeline]
      # @param resumable [Recording::Resumable]
      # @param wanted [true, String] the id of a run; true: the latest that can be resumed
      def initialize(pipeline, resumable, wanted)
        @resumable = resumable
        @wanted = wanted
        @known = pipeline.params.each_value.reject(&:secret?).map(&:name)
      end

      # @param given [Hash{Symbol => Object}] params
      # @yieldparam params [Hash{Symbol => Object}] the given ones, or those of a run
      # @yieldreturn [Array(Hash, String), nil] the params, coerced, and the identity of a run with them; nil: they are wrong
      # @return [void]
      # @raise [CheckpointError] the run with that id cannot be resumed, or the params of a run are not known
      def call(given)
        some = (given.keys & @known).any?
        return yield given if @wanted == true && (@known.empty? || some)

        @run = candidates.find { |run| fits?(run, yield(params_for(run, given))) }
        return if @run
        return yield given if @wanted == true

        run = candidates.first
        params, = yield params_for(run, given)
        @resumable.refuse(run.run_id, @resumable.difference(run, (params if some)))
      end

      private

      def candidates
        @candidates ||= @wanted == true ? @resumable.runs : [@resumable.fetch(@wanted)]
      end

      # A run does not fit if its +input:+ or its +context:+ was another one, or its params, if some are given.
      def fits?(run, (_, identity))
        identity.nil? || identity == run.identity
      end

      # Adds to the given params those of the run.
      def params_for(run, given)
        (@known - given.keys).empty? && @known.any? ? given : @resumable.params_of(run).merge(given)
      end
    end
  end
end
