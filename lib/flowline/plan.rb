# frozen_string_literal: true

module Flowline
  # The plan of one run: what will happen to each step, and why. Planning executes and writes nothing. A plan is plain data.
  #
  #   plan = pipeline.run(dry_run: true, resume: true)
  #   plan[:fetch].action # => :restore
  #   puts plan
  class Plan
    # The plan for a step, as long as nothing fails. +action+ is +:run+, +:restore+ (from the checkpoint; from the cache
    # after a step that does not run), +:reuse+ (from the cache), +:skip+ or +:unknown+ (only the run can show it).
    # +reason+ is a sentence or nil. +expected+ is the median of its latest durations in seconds, or nil.
    Step = Struct.new(:name, :action, :reason, :expected)

    # The times expected, in seconds: with the +workers+ of the run, and the +shortest+ with any number of them; +useful_workers+ is the
    # least number that is as fast as any; +complete+ whether the time of every step that runs is known.
    # @api private
    Times = Struct.new(:workers, :expected, :shortest, :useful_workers, :complete)
    # Seconds below which the number of workers is not worth a word.
    LEAST = 0.1
    private_constant :LEAST

    # @return [Array<Plan::Step>] in the order in which they could run
    attr_reader :steps
    # @return [Array<Symbol>] the steps that make the run as long as it will be: by the times expected, else by their number
    attr_reader :critical_path
    # @return [Float, nil] the seconds that the run takes with {#workers}, as far as is known; nil: nothing is known
    attr_reader :expected
    # @return [Float, nil] the seconds that it takes with {#useful_workers}, or with any greater number
    attr_reader :shortest
    # @return [Integer, nil] how many steps the run calls at a time; nil: no times are known
    attr_reader :workers
    # @return [Integer, nil] how many workers are worth having: with more, the run is at most 2 % faster; nil: no times are known
    attr_reader :useful_workers
    # @return [Resumption, nil] the run that is resumed, or why there is none; nil: the run was not to resume any
    attr_reader :resumed
    # @return [Array<String>] reasons to doubt outputs that are restored
    attr_reader :warnings

    # @param pipeline [String, nil] its name
    # @param resumed [Resumption, nil]
    # @param steps [Array<Plan::Step>]
    # @param critical_path [Array<Symbol>]
    # @param times [Times, nil]
    # @param warnings [Array<String>]
    # @api private
    def initialize(pipeline:, resumed:, steps:, critical_path:, times:, warnings: [])
      @pipeline = pipeline
      @resumed = resumed
      @steps = steps
      @critical_path = critical_path
      @workers, @expected, @shortest, @useful_workers, @complete = times.to_a
      @warnings = warnings
    end

    # @return [Boolean] whether the time of every step that runs is known
    def complete?
      @complete == true
    end

    # @param name [Symbol, String]
    # @return [Plan::Step]
    # @raise [UnknownStepError] there is no such step
    def [](name)
      name = Name.of(name)
      steps.find { |step| step.name == name } || raise(UnknownStepError.new(name, steps.map(&:name)))
    end

    # @return [String] without values: they may be anything, and secret
    def inspect
      "#<#{self.class} #{@pipeline || "unnamed"} #{steps.size} steps>"
    end

    # @return [Hash{Symbol => Object}]
    def to_h
      { pipeline: @pipeline, resumes: resumed&.run_id, resumed: resumed&.to_h, expected: expected, complete: complete?, workers: workers,
        shortest: shortest, useful_workers: useful_workers, critical_path: critical_path, warnings: warnings, steps: steps.map(&:to_h) }
    end

    # @return [String] for people
    def to_s
      width = steps.map { |step| Text.width(Name.show(step.name)) }.max || 0
      rows = steps.map do |step|
        time = format("%.2fs", step.expected) if step.expected
        columns = [Text.fit(Name.show(step.name), width), step.action.to_s.ljust(8), time.to_s.rjust(8), Text.line(step.reason.to_s)]
        "  #{columns.join("  ").rstrip}\n"
      end
      total = "Expected: #{seconds(expected)}#{use} (#{critical_path.map { |name| Name.show(name) }.join(" → ")})\n" if expected
      "Plan: #{Name.show(@pipeline || "unnamed")}\n#{headline}#{rows.join}#{total}#{warnings.map { |warning| "Warning: #{warning}\n" }.join}"
    end

    private

    def seconds(time)
      "#{"at least " unless complete?}#{format("%.2fs", time)}"
    end

    # Says how many workers the run has use for, if it has another number.
    def use
      return if workers == useful_workers || expected < LEAST

      with = " with #{workers} worker#{"s" if workers > 1}"
      return "#{with}; #{useful_workers} would be as fast" if workers > useful_workers

      "#{with}, #{seconds(shortest)} with #{useful_workers}" if shortest < expected * 0.9
    end

    def headline
      "#{resumed.to_s.sub(/\A./, &:upcase)}\n" if resumed
    end
  end
end
