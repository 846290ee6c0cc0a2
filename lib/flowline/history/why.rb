# frozen_string_literal: true

require_relative "why/change"
require_relative "why/comparison"
require_relative "why/upstream"

module Flowline
  module History
    # Why a step of a recorded run was called, or was not: the decision, the reason in words, and what has changed since an earlier
    # run. It is read from history alone, so that it can be asked of any run.
    #
    #   puts Flowline::History.runs.first.step(:sum).why
    #   # sum was called in run 20261124T015539-04c21255 of import
    #   #   because its cache had no entry for it as it is now
    #   #   since run 20261123T015539-9b1f0d2e
    #   #     the param date changed: 2024-01-01 → 2024-01-02
    class Why
      # The decisions, by the status of the step.
      DECISIONS = { succeeded: :called, failed: :called, timed_out: :called }.freeze
      # How many earlier runs are looked at.
      RUNS = 20
      # Why a cache had nothing, by what history has.
      MISSED = {
        Cache::Lookup::NO_ENTRY => nil,
        "it has no key; see the warnings" => "it has no key for its cache; the warnings of the run say why",
        "skip_cache: says not to look" => "skip_cache: says not to look into its cache"
      }.freeze
      # How a step that was called by a resumed run had ended in the earlier run.
      BEFORE = { running: "had not ended", pending: "had not started", failed: "had failed", timed_out: "had timed out",
                 cancelled: "had been cancelled" }.freeze
      private_constant :DECISIONS, :MISSED, :RUNS, :BEFORE

      # @return [String] the id of the run
      attr_reader :run_id
      # @return [Symbol] the name of the step
      attr_reader :step
      # @return [Symbol] +:called :cached :restored :skipped :cancelled+; of a step that has not ended +:running+ or +:pending+
      attr_reader :decision
      # @return [String] the reason, as the second half of a sentence: without a capital letter and a full stop
      attr_reader :reason
      # @return [String, nil] the id of the run that the step was compared with, or that its output is from
      attr_reader :since
      # @return [Array<Change>] what has changed since that run
      attr_reader :changes

      # @param run [Run]
      # @param step [Step]
      # @api private
      def initialize(run, step)
        @run = run
        @known = step
        @run_id = run.run_id
        @pipeline = run.pipeline
        @step = step.name
        @decision = DECISIONS.fetch(step.status, step.status)
        @changes = []
        @reason = explain
      end

      # @return [Hash{Symbol => Object}]
      def to_h
        { run_id: run_id, step: step, decision: decision, reason: reason, since: since, changes: changes.map { |change| change.to_h.compact } }
      end

      # @return [String] for people
      def to_s
        lines = ["#{Name.show(step)} #{verb} in run #{run_id} of #{Name.show(@pipeline)}#{ending}", "  because #{Name.show(reason)}"]
        lines << "  since run #{since}" if changes.any?
        [*lines, *changes.map { |change| "    #{Name.show(change.to_s)}" }].join("\n")
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{Name.show(step)} #{decision}: #{reason}>"
      end

      private

      def verb
        case decision
        when :running then crashed? ? "was running" : "is running"
        when :pending then crashed? ? "had not started" : "has not started"
        else "was #{decision}"
        end
      end

      # How the step ended, if that is more than the decision.
      def ending
        return " when its process ended" if crashed? && %i[running pending].include?(decision)
        return unless @known.failed?

        how = @known.status == :failed ? "failed" : "timed out"
        ", and #{how}#{" after #{@known.attempts} attempts" if @known.attempts > 1}: #{Name.show(Upstream.short(@known))}"
      end

      def crashed?
        @run.status == :crashed
      end

      def explain
        case decision
        when :called then called
        when :cached then cached
        when :restored then restored
        when :running then running
        else Upstream.new(@run, @known).reason
        end
      end

      def called
        grounds = @known.grounds
        return compared(made_in(resumed), planned(grounds[:plan])) if grounds[:plan]
        return missed(grounds[:missed]) if grounds[:missed]
        return compared(resumed, resumed_reason) if resumed

        compared(earlier { |step| step.attempts.positive? }, "it is not cached, and the run resumed no other run: every run calls it")
      end

      def planned(reason)
        reason == "asked for" ? "from: or only: of the run asked for it" : reason
      end

      # Compares the step with that of an earlier run.
      # @return [String] the reason
      def compared(other, reason)
        if other&.step(step)
          @since = other.run_id
          @changes = Comparison.new(@run, other, step).changes
        end
        reason
      end

      def missed(why)
        return MISSED.fetch(why, why) if MISSED.fetch(why, why)

        other = earlier { |step| step.grounds[:parts] }
        return "its cache had no entry for it, and history has no earlier run of the step" unless other

        same = other.step(step).grounds[:key] == @known.grounds[:key]
        compared(other, nil)
        return "its cache had no entry for it as it is now" unless same

        "its cache had no entry for it any more, although nothing changed: the entry has expired, or was removed"
      end

      def cached
        key = @known.grounds[:key]
        found = "its cache had its output for the same code and inputs"
        other = key && earlier { |step| step.attempts.positive? && step.grounds[:key] == key }
        @since = other&.run_id
        other ? "#{found}, as in run #{since}" : "#{found}; the run that made it is not among the last #{RUNS}"
      end

      def restored
        return "its output was in its cache before the run began" unless @run.resumed

        @since = (made_in(resumed) || resumed)&.run_id || @run.resumed
        "its output was recorded in run #{since}, and it was made of the same"
      end

      def running
        now = @run.live&.step(step)
        return "everything that it depends on had ended" if now.nil? && crashed?
        return "everything that it depends on has ended" unless now
        return "it #{crashed? ? "waited" : "waits"} for #{now.wait}" if now.wait

        "everything that it depends on #{crashed? ? "had ended, and it was" : "has ended, and it is"} called: attempt #{now.attempt}"
      end

      # @return [Run, nil] the run that was resumed
      def resumed
        @resumed ||= @run.resumed && @run.other(@run.resumed)
      end

      # @return [Run, nil] the run in which the output was made that this run has restored
      def made_in(run)
        run = run.other(run.resumed) while run&.resumed && run.step(step)&.status == :restored
        run
      end

      def resumed_reason
        before = resumed.step(step)
        how = before ? BEFORE.fetch(before.status, "left no output that could be restored") : "was not there"
        "it #{how} in run #{resumed.run_id}, which was resumed"
      end

      # @yieldparam step [Step] the step of an earlier run
      # @return [Run, nil] the latest earlier run for which the block is true
      def earlier
        @run.earlier(RUNS).find { |run| run.step(step)&.then { |known| yield known } }
      end
    end
  end
end
