# frozen_string_literal: true

module Flowline
  # The record of a run, from which a later run resumes. {Journal} is in a store, for pipelines with a name; {Memory} is for
  # those without. A run uses either by the same methods:
  #
  # - +subject+ says which run is recorded, +checkpoint+ what is recorded of the run to resume, +why_not+ why no run is
  #   resumed, +path+ where the record is, and +timings+ how long steps took in earlier runs.
  # - +forget+ removes stale records. +start+ begins the run; before that, nothing is written.
  # - +state+ has the values of the pipeline's state, and +complete_item+ records an item that succeeded.
  # - +prepare_end+ computes what +finish+ records. The first calls code of the user, the second calls none.
  # - +close+ ends the recording: its locks are released.
  #
  # A recording that is +stored?+ has more methods. +complete+ records a step before its dependents start. +call+ is notified
  # of failed and skipped steps, before any other observer. +broadcast+ shows the run to other processes.
  # @api private
  module Recording
    autoload :Broadcast, "#{__dir__}/recording/broadcast"
    autoload :Claim, "#{__dir__}/recording/claim"
    autoload :Expense, "#{__dir__}/recording/expense"
    autoload :Grounds, "#{__dir__}/recording/grounds"
    autoload :Items, "#{__dir__}/recording/items"
    autoload :Journal, "#{__dir__}/recording/journal"
    autoload :Ledger, "#{__dir__}/recording/ledger"
    autoload :Lines, "#{__dir__}/recording/lines"
    autoload :LocalLock, "#{__dir__}/recording/local_lock"
    autoload :Patience, "#{__dir__}/recording/patience"
    autoload :Resumable, "#{__dir__}/recording/resumable"
    autoload :Rows, "#{__dir__}/recording/rows"
    autoload :Shown, "#{__dir__}/recording/shown"
    autoload :Ticker, "#{__dir__}/recording/ticker"
    autoload :Trigger, "#{__dir__}/recording/trigger"
    autoload :Turn, "#{__dir__}/recording/turn"

    # The record of a completed step: the digest of its code at that time, its output or the reason why there is none, the token of its
    # output, and the tokens it was made of (see {Provenance}). +collected+: its output has failed items.
    Entry = Struct.new(:step_digest, :output, :problem, :token, :made_of, :collected) do
      # @param made_of [String] the tokens, with spaces between them
      # @param bytes [String, nil] a recorded output
      # @param outcome [String] of the step
      # @return [Entry] with the output, or the reason why there is none
      def self.recorded(step_digest, token, made_of, bytes, outcome)
        problem = nil
        output = Recording.restore(bytes) do |why|
          problem = why
          nil
        end
        new(step_digest, output, problem, token, made_of.empty? ? NOTHING : made_of.split, outcome == COLLECTED)
      end
    end
    NOTHING = [].freeze
    NO_OUTPUT = "no output of it was recorded"
    LEFT_OUT = "not_selected"
    SUCCEEDED = "succeeded"
    # The outcome of a step that succeeded and collected failed items. A run with one is not over: when it is resumed, the step
    # is called for these items again.
    COLLECTED = "collected"
    private_constant :NOTHING, :NO_OUTPUT, :LEFT_OUT, :SUCCEEDED, :COLLECTED

    # @param pipeline [Pipeline]
    # @param request [Planning::RunOptions]
    # @return [Memory, Journal]
    def self.of(pipeline, request)
      (stored?(pipeline, request) ? Journal : Memory).new(pipeline, request)
    end

    # @return [Boolean] whether the run is recorded in a store
    def self.stored?(pipeline, request)
      !pipeline.name.nil? && request.store?
    end

    # @param bytes [String, nil] a recorded output
    # @yieldparam problem [String] why there is none
    # @return [Object] the output, or what the block returns
    def self.restore(bytes)
      return yield("its recorded output is gone or damaged") unless bytes
      return yield(NO_OUTPUT) if bytes.empty?

      begin
        Marshal.load(bytes) # rubocop:disable Security/MarshalLoad -- from our own directory
      rescue *Cache::TROUBLE => e
        Caller.raise_foreign(e) { Marshal.load(bytes) } # rubocop:disable Security/MarshalLoad -- from our own directory
        yield "its recorded output cannot be read: #{Error.words(e)[/.*/]}"
      end
    end

    # @return [String] how a step ended, in a word
    def self.outcome(status, reason)
      (reason.to_s == LEFT_OUT ? reason : status).to_s
    end

    # @param earlier [Array<String, nil>] how the steps of a run ended
    # @param later [Array<String>] how the steps of a run that resumed it ended
    # @return [Array<String>] the outcomes of both runs together
    def self.outcomes(earlier, later)
      later.zip(earlier).map { |now, before| before && (now == LEFT_OUT || (now == "restored" && before == COLLECTED)) ? before : now }
    end

    # @return [String] a warning: a restored step has written a value of the state before another one was committed
    def self.overtaken(key, step, run_id)
      "state #{Name.show(key)} stays as #{run_id ? "run #{run_id} has committed it" : "it is"}: " \
        "it has changed since the restored step #{Name.show(step)} wrote it; from: runs the step again"
    end

    # @return [Boolean] whether the output of the step has failed items, which a resumed run tries again
    def self.collected?(step, output)
      step.options[:on_item_error] == :collect && ::Array === output && output.any?(ItemError)
    end

    # @return [Boolean] whether this outcome of the step means that it has no output and did not fail the run
    def self.skipped?(step, outcome)
      outcome == "skipped" || (step.optional? && %w[failed timed_out].include?(outcome))
    end

    # @param request [Planning::RunOptions] of a run that has ended in this process
    # @param checkpoint [Checkpoint, nil] of the run that it resumed
    # @return [Boolean] whether it leaves nothing to resume
    def self.done?(request, result, checkpoint)
      result.success? && !request.keep? && !(request.selects? && result.steps.any? { |step| step.reason == :not_selected }) &&
        !result.collected? && (checkpoint.nil? || checkpoint.collected.none? { |id| result.at(id).status == :restored })
    end

    # @param outcomes [Array<String, nil>] how its steps ended, by id
    # @return [Boolean] whether a run has succeeded, including the steps that it left out
    def self.over?(pipeline, status, outcomes)
      status.to_s == "succeeded" && pipeline.steps.each_with_index.all? do |step, id|
        outcome = outcomes[id]
        skipped?(step, outcome) || ["succeeded", "cached", "restored", nil].include?(outcome)
      end
    end
  end
end

# The run of a pipeline without a name needs these.
require_relative "recording/checkpoint"
require_relative "recording/memory"
require_relative "recording/provenance"
require_relative "recording/subject"
