# frozen_string_literal: true

module Flowline
  # What is kept of a run, so that another can take up its work: here the outputs themselves, as long as the
  # pipeline lives. That is enough for pipelines without a name; see {Stored} for those with one.
  # @api private
  class Recording
    autoload :Items, "#{__dir__}/recording/items"
    autoload :Stored, "#{__dir__}/recording/stored"

    # A completed step: its fingerprint then, its output, and why that cannot be had, if so.
    Entry = Struct.new(:fingerprint, :output, :problem)

    # @return [Hash{Symbol => Entry}] the completed steps of the run to resume, by name
    attr_reader :entries
    # @return [String, nil] the run to resume
    attr_reader :resumed
    # @return [Hash{Symbol => String}] how other steps of that run ended
    attr_reader :outcomes

    # @param pipeline [Pipeline]
    # @param request [Request]
    # @return [Recording]
    def self.of(pipeline, request)
      pipeline.name && request.store? ? Stored.new(pipeline, request) : new(pipeline, request)
    end

    # @param bytes [String, nil] a recorded output
    # @return [Array(Object, String)] the output, and why it cannot be had, if so
    def self.restore(bytes)
      return [nil, "its recorded output is gone or damaged"] unless bytes
      return [nil, "its output was not recorded"] if bytes.empty?

      [Marshal.load(bytes), nil] # rubocop:disable Security/MarshalLoad -- from our own directory
    rescue StandardError => e
      [nil, "its recorded output cannot be read: #{Error.words(e)[/.*/]}"]
    end

    # @return [String] how a step ended, in a word
    def self.outcome(status, reason)
      (reason.to_s == "not_selected" ? reason : status).to_s
    end

    def initialize(pipeline, request)
      @pipeline = pipeline
      @request = request
      @entries = {}
      @outcomes = {}
      recall if request.continues?
    end

    # @return [Boolean] whether completed steps must be told with +complete+
    def stored?
      false
    end

    # @return [Hash{Symbol => Float}] seconds that steps took so far
    def timings
      {}
    end

    # The run begins.
    def start(_context, _warnings); end

    # These steps run again.
    def forget(names)
      names.each { |name| items.delete(name) }
    end

    # @return [Hash{Symbol => Items}] by step, what is there of steps that have not ended
    def items
      @items ||= {}
    end

    # An item of a step succeeded.
    # @return [void]
    def complete_item(step, position, item, output)
      digest = Digest.try(item) if records?(step.name)
      items_of(step.name).put(position, digest, output) if digest
    end

    # The run has ended.
    # @param result [Result]
    # @return [void]
    def finish(result)
      memory = @pipeline.memory
      if done?(result)
        memory.clear if memory[:facts] == facts
        return
      end
      outcomes = result.steps.to_h { |step| [step.name, Recording.outcome(step.status, step.reason)] }
      entries = @entries.select { |name, _| outcomes[name] == "not_selected" }
      result.outputs.each { |name, output| entries[name] = Entry.new(@pipeline.fingerprint(name).value, output) if records?(name) }
      memory.replace(facts: facts, status: result.status, run_id: result.run_id, entries: entries, outcomes: outcomes, items: items)
    end

    # Nothing more will be recorded.
    def close; end

    private

    def items_of(name)
      items[name] ||= Items.new(@pipeline.fingerprint(name).value)
    end

    # Whether nothing is left that another run could take up.
    def done?(result)
      result.success? && !@request.keep? && !(@request.picks? && result.steps.any? { |step| step.reason == :not_selected })
    end

    def records?(name)
      @request.checkpoint? && @pipeline.dag[name].options[:checkpoint] != false
    end

    def recall
      memory = @pipeline.memory
      return unless memory[:facts] == facts && (memory[:status] != :succeeded || @request.picks?)

      @entries, @outcomes, @resumed, @items = memory.values_at(:entries, :outcomes, :run_id, :items)
    end

    def facts
      [known, @request.input? && [@request.input], @request.values]
    end

    def known
      @request.params.except(*@request.secrets.keys)
    end
  end
end
