# frozen_string_literal: true

module Flowline
  # The recorded outputs of a run of a pipeline with a name, from which a later run resumes.
  #
  #   checkpoint = Flowline::Checkpoint.latest("import")
  #   checkpoint.status         # => :failed
  #   checkpoint.params         # => { date: #<Date: 2024-01-31> }
  #   checkpoint.step_names     # => [:fetch, :transform]
  #   checkpoint.output(:fetch) # => [1, 2]
  #   checkpoint.delete
  class Checkpoint
    # @return [String] the run
    attr_reader :run_id
    # @return [String] the name of its pipeline
    attr_reader :pipeline_name
    # @return [Symbol] +:running :crashed :succeeded :failed :timed_out :cancelled+
    attr_reader :status
    # @return [Time] when the run started
    attr_reader :started_at

    class << self
      # @param pipeline_name [String, Symbol, nil] only its checkpoints
      # @param root [String] the directory of the store
      # @return [Array<Checkpoint>] those that hold outputs, the latest first
      # @raise [StoreError] the store cannot be used
      def list(pipeline_name = nil, root: Flowline.config.root)
        store = Store.existing(root) or return []
        runs = store.runs(pipeline_name&.to_s).reject(&:damaged?).uniq(&:checkpoint)
        runs.map { |run| new(store, run) }.reject { |checkpoint| checkpoint.step_names.empty? }
      end

      # @param pipeline_name [String, Symbol]
      # @param root [String] the directory of the store
      # @return [Checkpoint, nil] the latest that holds outputs
      # @raise [StoreError] the store cannot be used
      def latest(pipeline_name, root: Flowline.config.root)
        list(pipeline_name, root: root).first
      end
    end

    # @api private
    def initialize(store, run)
      @store = store
      @id = run.checkpoint
      @run_id = run.run_id
      @pipeline_name = run.pipeline
      @started_at = run.started_at
      @status = run.status.to_sym
      @params = run.params
    end

    # @return [Hash{Symbol => Object}] copies of the params of the run, without secrets; empty if they cannot be read
    def params
      (Recording.restore(@params) { nil } if @params) || {}
    end

    # @return [Array<Symbol>] the steps whose outputs it has
    def step_names
      sizes.keys
    end

    # @return [Hash{Symbol => Integer}] how many bytes each output takes
    def sizes
      @store.sizes(@id).transform_keys(&:to_sym)
    end

    # @param name [Symbol, String] a step
    # @return [Object] a copy of its output
    # @raise [CheckpointError] it is not there, or cannot be read
    def output(name)
      Recording.restore(@store.output(@id, name.to_s)) { raise CheckpointError.new([name.to_sym], pipeline_name: pipeline_name) }
    end

    # Deletes the outputs. The history of the run stays.
    # @return [void]
    # @raise [LockedError] the run is alive
    def delete
      alive = @store.clear(@id)
      raise LockedError.by(alive, pipeline_name) if alive
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{pipeline_name} #{run_id} #{status} #{step_names.size} outputs>"
    end
  end
end
