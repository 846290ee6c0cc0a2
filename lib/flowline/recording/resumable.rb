# frozen_string_literal: true

module Flowline
  module Recording
    # The runs of a pipeline that can be resumed, as its store knows them, or the memory of this process. Of runs with the same
    # identity that is the latest one, unless nothing of it is left to be done.
    # @api private
    class Resumable
      GIVE = "give them with resume: true"
      # Why nothing is resumed, if no run was recorded there before.
      NO_STORE = "there is no store"
      # How many runs are looked through for another one that could be resumed.
      RECENT = 20
      private_constant :GIVE, :RECENT

      # @return [String, nil] the directory of the store; nil: the memory of this process
      attr_reader :path

      # @param pipeline [Pipeline]
      # @param root [String, nil] the store; nil: the memory of this process
      # @param patience [Float] seconds to wait for other processes
      def initialize(pipeline, root, patience = Store::PATIENCE)
        @pipeline = pipeline
        @path = Store.path(root) if root
        @patience = patience
      end

      # @return [Array<Store::Run>] the runs whose params may be adopted, the latest first. If all of them are alive, the
      #   latest of these, so that its owner is named.
      # @raise [StoreError] the record of the latest run is damaged
      def runs
        check
        alive, ended = latest.partition(&:alive)
        found = ended.reject { |run| done?(run) }
        found.empty? ? alive.first(1) : found
      end

      # @param identity [String, nil] nil: any
      # @param params [Hash{Symbol => Object}] without an identity, some params
      # @return [String] why no run with that identity, or these params, is resumed, and which other runs could be
      def why_not(identity = nil, params = {})
        return NO_STORE if @path && store.nil?

        recent = @path ? sound(store.runs(@pipeline.name, RECENT)) : latest
        return "no run #{of_pipeline} is recorded" if recent.empty?

        mine = identity ? latest_of(identity) : recent.find { |run| run.known_params.slice(*params.keys) == params }
        other = unfinished(recent, mine&.identity)
        why = mine ? "run #{mine.run_id} succeeded" : "no run with the same params#{", input and context" if identity} is recorded"
        other ? "#{why}; run #{describe(other)} #{other.status} and can be resumed" : why
      end

      # @param run_id [String]
      # @return [Store::Run]
      # @raise [CheckpointError] that run cannot be resumed
      # @raise [LockedError] it is alive
      def fetch(run_id)
        known = @path ? store&.runs.to_a : all
        run = known.find { |other| other.run_id == run_id } or refuse(run_id, unknown(known.map(&:run_id), run_id))
        raise LockedError.by(run, @pipeline.name) if run.alive

        obstacle = obstacle(run)
        obstacle ? refuse(run_id, obstacle) : run
      end

      # @param run [Store::Run]
      # @return [Hash{Symbol => Object}] its params, without secrets
      # @raise [CheckpointError] they are not known, or those of the pipeline have changed
      def params_of(run)
        params = run.known_params if run.params
        names = @pipeline.params.each_value.reject(&:secret?).map(&:name)
        return {} if names.empty? && params.nil?

        refuse(run.run_id, "its params are not recorded; #{GIVE}") unless params
        refuse(run.run_id, "its params cannot be read; #{GIVE}") if params.empty? && names.any?
        changed = changes(params.keys, names)
        refuse(run.run_id, "the pipeline's params have changed (#{changed}); #{GIVE}") unless changed.empty?
        params
      end

      # @param run [Store::Run]
      # @param params [Hash{Symbol => Object}, nil] those that were given
      # @return [String] what makes them, or the input and the context, different from those of the run
      def difference(run, params)
        others = params ? run.known_params.reject { |name, value| params[name] == value } : {}
        others.empty? ? "its input: or context: was another one" : "its params were others (#{Param.show(others)})"
      end

      # @param run_id [String]
      # @param why [String]
      # @raise [CheckpointError]
      def refuse(run_id, why)
        raise CheckpointError.new([], pipeline_name: @pipeline.name, why: "run #{Name.show(run_id)} cannot be resumed: #{why}")
      end

      private

      # @return [String, nil] why the run cannot be resumed
      def obstacle(run)
        return "its record is damaged" if run.damaged?
        return "it is a run of #{Name.show(run.pipeline)}, not #{of_pipeline}" if @path && run.pipeline != @pipeline.name

        later = latest.find { |other| other.identity == run.identity }
        return superseded(later) if later && later.run_id != run.run_id
        return "it succeeded" if done?(run)

        "its checkpoint is gone; run the pipeline from the beginning" if gone?(run)
      end

      def superseded(later)
        "run #{later.run_id} #{later.resumed ? "has resumed it, and #{later.status}" : "has replaced it, with the same params"}"
      end

      def changes(known, names)
        new = (names - known).map { |name| "#{Name.show(name)} is new" }
        [*new, *(known - names).map { |name| "#{Name.show(name)} is gone" }].join(", ")
      end

      # @return [Array<Store::Run>] the latest run of each identity
      def latest
        @latest ||= sound(all)
      end

      def latest_of(identity)
        @path ? store.latest(@pipeline.name, identity) : latest.find { |run| run.identity == identity }
      end

      def unfinished(runs, identity)
        runs.find { |run| run.identity != identity && !run.alive && run.status != "succeeded" }
      end

      def sound(runs)
        runs.reject(&:damaged?).uniq(&:identity)
      end

      def check
        run = all.first
        raise StoreError.new(@path, "has a damaged record of run #{run.run_id}; give the params of the run to resume", :damaged) if run&.damaged?
      end

      # @return [Array<Store::Run>] the latest first
      def all
        @all ||= @path ? store&.runs(@pipeline.name).to_a : [@pipeline.memory[:checkpoint]&.run].compact
      end

      def store
        @store ||= Store.existing(@path, patience: @patience)
      end

      def done?(run)
        return @pipeline.memory.then { |memory| Recording.over?(@pipeline, memory[:status], memory[:checkpoint]&.outcomes) } unless @path

        Journal.done?(store, @pipeline, run, @patience)
      end

      # Returns whether steps have succeeded in the run and nothing is recorded of them any more.
      def gone?(run)
        @path && store.outcomes(run.checkpoint).empty? && store.steps(run.id).any? { |step| %w[succeeded restored].include?(step.status) }
      end

      def unknown(known, run_id)
        return "there is no store at #{@path}" if @path && store.nil?

        "there is no such run in #{@path || "the memory of this process"}#{Name.suggest(run_id, known)}"
      end

      def of_pipeline
        @pipeline.name ? "of #{Name.show(@pipeline.name)}" : "of the pipeline"
      end

      def describe(run)
        params = run.known_params
        "#{run.run_id}#{" (#{Param.show(params)})" if params.any?}"
      end
    end
  end
end
