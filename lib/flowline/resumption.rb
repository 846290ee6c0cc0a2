# frozen_string_literal: true

module Flowline
  # The run that a run with +resume:+, +from:+ or +only:+ has resumed; or none, and the reason.
  #
  #   result = pipeline.run(resume: true)
  #   result.resumed.run_id # => "20261124T015539-04c21255"
  #   result.resumed.steps  # => 3
  #   puts result.resumed   # resuming run 20261124T015539-04c21255 of 2026-11-24 01:55:39 (date: 2024-01-31): 3 steps restored
  class Resumption
    # @return [String, nil] the run that is resumed; +nil+: there is none
    attr_reader :run_id
    # @return [Time, nil] when that run started
    attr_reader :started_at
    # @return [Hash{Symbol => Object}] the params of that run, without secrets
    attr_reader :params
    # @return [Integer] the steps that are restored when the run starts
    attr_reader :steps
    # @return [Integer] the recorded items of steps that are not complete
    attr_reader :items
    # @return [String, nil] why nothing is resumed
    attr_reader :reason
    # @return [String, nil] the directory of the store that was looked at; +nil+: the memory of this process
    attr_reader :store

    # @param facts [Hash] by the names of the readers
    # @api private
    def initialize(**facts)
      @run_id, @started_at, @reason, @store = facts.values_at(:run_id, :started_at, :reason, :store)
      @params = (facts[:params] || {}).freeze
      @steps = facts[:steps] || 0
      @items = facts[:items] || 0
      freeze
    end

    # @return [Boolean] whether a run is resumed
    def resumed?
      !run_id.nil?
    end

    # @return [Hash{Symbol => Object}]
    def to_h
      { run_id: run_id, started_at: started_at, params: params, steps: steps, items: items, reason: reason, store: store }
    end

    # @return [String] one line, for people
    def to_s
      unless resumed?
        return "nothing to resume: #{reason} (looked in #{store ? Error.text(store) : "the memory of this process"}); starts from the beginning"
      end

      "resuming run #{run_id} of #{started_at.strftime("%Y-%m-%d %H:%M:%S")}#{" (#{Param.show(params)})" if params.any?}: #{extent} restored"
    end

    # @return [String] without values
    def inspect
      "#<#{self.class} #{run_id || "nothing"}>"
    end

    # Dumps it without params that cannot be marshalled.
    # @return [Hash] what {#marshal_load} takes
    # @api private
    def marshal_dump
      to_h.merge(params: params.select { |_, value| Error::Portable.dumps?(value) })
    end

    # @param facts [Hash]
    # @return [void]
    # @api private
    def marshal_load(facts)
      initialize(**facts)
    end

    private

    def extent
      counts = [[steps, "step"], [items, "item"]].reject { |count, word| count.zero? && word == "item" }
      counts.map { |count, word| "#{count} #{word}#{"s" unless count == 1}" }.join(" and ")
    end
  end
end
