# frozen_string_literal: true

module Flowline
  module History
    class Why
      # Why a step was not called that neither a cache nor a checkpoint had: its conditions, the steps before it, or the end of the run.
      # @api private
      class Upstream
        # The reasons that lie with the steps before it.
        PASSED_ON = %i[upstream_skipped upstream_failed run_failed].freeze
        PREFIX = /\Astep .*? (?:failed|timed out)[^:]*: /m
        private_constant :PASSED_ON, :PREFIX

        # @param step [Step] one that failed
        # @return [String] the first line of its error, without the name of the step
        def self.short(step)
          step.error.to_s.sub(PREFIX, "").lines.first.to_s.chomp
        end

        # @param run [Run]
        # @param step [Step]
        def initialize(run, step)
          @run = run
          @step = step
          @nodes = (run.graph || { steps: [] })[:steps]
          @positions = @nodes.each_with_index.to_h { |node, position| [node[:name].to_sym, position] }
        end

        # @return [String]
        def reason
          return waiting if @step.status == :pending
          return before if PASSED_ON.include?(@step.reason)

          own(@step)
        end

        private

        # @return [Array<Step>] the steps that a step depends on
        def inputs(step)
          position = @positions[step.name] or return []
          (@nodes[position][:after] || []).filter_map { |id| @run.step(@nodes[id][:name]) }
        end

        def waiting
          open = inputs(@step).select { |step| %i[running pending].include?(step.status) }
          return "it #{@run.status == :crashed ? "waited" : "waits"} to be called" if open.empty?

          "#{names(open)}, which it depends on, #{have(open)} not ended"
        end

        def have(open)
          return "had" if @run.status == :crashed

          open.one? ? "has" : "have"
        end

        # The first step on the way back that did not end that way because of others.
        def before
          cause, direct = root
          return own(@step) unless cause

          "#{Name.show(cause.name)}, #{direct ? "which it depends on" : "upstream of it"}, #{ended(cause)}"
        end

        def root
          seen = {}
          level = [@step]
          until level.empty?
            found = level.flat_map { |step| inputs(step) }.reject { |step| seen[step.name] || !lost?(step) }.uniq(&:name)
            found.each { |step| seen[step.name] = true }
            cause = found.find { |step| !PASSED_ON.include?(step.reason) }
            return [cause, level == [@step]] if cause

            level = found
          end
        end

        # Whether the step ended without an output.
        def lost?(step)
          %i[skipped failed timed_out cancelled].include?(step.status)
        end

        def ended(step)
          return "was #{step.status}: #{own(step)}" unless step.failed?

          "#{verb(step)}: #{error(step)}"
        end

        def verb(step)
          step.status == :failed ? "failed" : "timed out"
        end

        def error(step)
          Upstream.short(step)
        end

        def own(step)
          case step.reason
          when :condition then condition(step)
          when :not_selected then "only: or from: of the run did not select it"
          when :run_failed then stopped
          when :run_timed_out then "the time limit of the run was over"
          when :interrupted then "#{step.attempts.positive? ? "it was interrupted" : "the run was stopped before it was called"}#{run_error}"
          else "the run ended before it was called"
          end
        end

        def run_error
          ": #{@run.error.delete_suffix(CancelledError::ADVICE).lines.first.chomp}" if @run.error
        end

        def condition(step)
          node = @nodes[@positions[step.name] || @nodes.size] || {}
          conditions = %i[when unless].filter_map { |word| "#{word}: (#{node[word]})" if node[word] }
          return "a condition of a nested pipeline around it was not met" if conditions.empty?

          conditions.one? ? "its condition #{conditions.first} was not met" : "its conditions #{conditions.join(" and ")} were not both met"
        end

        def stopped
          failed = @run.steps.select(&:failed?).min_by { |step| [step.started_at || @run.started_at, step.name] }
          return "another step failed" unless failed

          "#{Name.show(failed.name)} #{verb(failed)}, and on_error: :stop lets nothing start after that: #{error(failed)}"
        end

        def names(steps)
          steps.first(3).map { |step| Name.show(step.name) }.join(", ") + (steps.size > 3 ? " and #{steps.size - 3} more" : "")
        end
      end
    end
  end
end
