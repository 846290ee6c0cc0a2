# frozen_string_literal: true

module Flowline
  # The result of a step of a run.
  class StepResult
    # The outcomes that have an output.
    WITH_OUTPUT = %i[succeeded cached restored].freeze
    # So many failed items are in {#to_h}; all are in {#item_errors}.
    DESCRIBED = 100
    NO_REPORT = {}.freeze
    private_constant :NO_REPORT

    # @return [Symbol] the step's name
    attr_reader :name
    # @return [Symbol] +:succeeded :cached :restored :skipped :failed :timed_out :cancelled+
    attr_reader :status
    # @return [Object, nil] the output: the return value of its callable
    attr_reader :output
    # @return [StepError, nil] why it failed
    attr_reader :error
    # @return [Symbol, nil] why it was skipped or cancelled: +:condition :upstream_skipped :not_selected+,
    #   +:upstream_failed :run_failed :interrupted :run_timed_out+; or +:given+: the run was given its output
    attr_reader :reason
    # @return [Integer] the number of calls of its callable
    attr_reader :attempts
    # @return [Float, nil] seconds; +nil+ if it never started
    attr_reader :duration
    # @return [ItemCounts, nil] how the items of a step with +each:+ ended; +nil+ for other steps, and if no item was tried
    attr_reader :items

    # @return [Hash{Symbol => Numeric}] the numbers that the step reported with {Context#report}
    def report
      @report || NO_REPORT
    end

    # @return [Class] of the results of steps that ended like this
    # @api private
    def self.class_for(status)
      status == :skipped ? Skipped : self
    end

    # Returns the result of a nested pipeline: the worst result of the steps that produce its output.
    # @api private
    def self.of_group(name, leaves, output)
      worst = leaves.max_by { |leaf| [leaf.output? ? 0 : 1, leaf.status == :skipped ? 0 : 1, leaf.error ? 1 : 0] }
      return new(name: name, status: :succeeded, output: output) if worst.nil? || worst.output?

      class_for(worst.status).new(name: name, status: worst.status, error: worst.error, reason: worst.reason)
    end

    # @return [Hash{Symbol => Object}, nil] an error, for logs
    # @api private
    def self.describe(error, context)
      return unless error

      original = error.respond_to?(:original) ? error.original : nil
      { class: error.class.name, message: context ? context.mask(error.message) : error.message, original: original && TypeHints.kind(original) }
    end

    # @api private
    def initialize(name:, status:, output: nil, error: nil, context: nil, reason: nil, attempts: 0, started: nil, duration: nil,
                   report: nil, items: nil, item_errors: nil)
      @name = name
      @status = status
      @output = output
      @error = error
      @context = context
      @reason = reason
      @report = report if report && status == :succeeded
      @attempts = attempts
      @items = items
      @item_errors = item_errors
      return unless attempts.positive?

      @started = started
      @duration = duration
    end

    # @return [Float, nil] when it started, in seconds from the start of the run
    # @api private
    attr_reader :started

    # @return [Time, nil] +nil+ if it never started
    def started_at
      (@context.started_at + @started).round(6) if @started
    end

    # @return [StepResult] the same without its output, which cannot be marshalled
    # @api private
    def without_output
      failed = item_errors
      dup.tap do |copy|
        copy.instance_variable_set(:@output, nil)
        copy.instance_variable_set(:@item_errors, failed) if failed.any?
      end
    end

    # @return [Array<ItemError>] the items that failed, in their order
    def item_errors
      @item_errors || (Array === output ? output.grep(ItemError) : [])
    end

    # @return [Boolean] whether there is an output, be it +nil+
    def output?
      WITH_OUTPUT.include?(status)
    end

    # @return [Boolean] whether its callable returned, or its output was reused
    alias success? output?

    # @return [Boolean] whether it was skipped
    def skipped?
      status == :skipped
    end

    # @return [Boolean] whether it failed or timed out
    def failed?
      %i[failed timed_out].include?(status)
    end

    # @return [Hash{Symbol => Object}] the result as a Hash, without the output; +items+ is nil for a step without +each:+
    def to_h
      { name: name, status: status, reason: reason, attempts: attempts, started_at: started_at, duration: duration,
        report: report, error: StepResult.describe(error, @context), items: items && { **items.to_h, errors: described_item_errors } }
    end

    # @return [String] without the output, which may be anything
    def inspect
      "#<#{self.class} #{Name.show(name)} #{status}#{" (#{reason})" if reason}>"
    end

    private

    def described_item_errors
      item_errors.first(DESCRIBED).map { |error| { item: error.number, attempts: error.attempts, **StepResult.describe(error, @context) } }
    end
  end

  # The result of a step that did not have to run; {StepResult#reason} says why.
  class Skipped < StepResult
  end
end
