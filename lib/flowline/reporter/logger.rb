# frozen_string_literal: true

module Flowline
  module Reporter
    # Writes a run to a logger, a line for each thing that happens, with the pipeline, the run and the step in front of it:
    #
    #   [Flowline] [import] [20261124T015539-04c21255] started (date: 2024-01-31)
    #   [Flowline] [import] [20261124T015539-04c21255] [fetch] succeeded in 0.52s, 1,234 records
    #   [Flowline] [import] [20261124T015539-04c21255] [load] failed in 1.24s: PG::ConnectionBad: no connection (app/pipelines/import.rb:12)
    #   [Flowline] [import] [20261124T015539-04c21255] failed in 1.77s: 1 succeeded, 1 failed; run(resume: true) resumes it
    #
    # They are tags where the logger has +tagged+, as that of Rails. The level is +info+, of skipped and starting steps +debug+, of
    # retries, warnings and cancelled runs +warn+, of failures +error+. Lines that steps log with +ctx.log+ are there with their own
    # level. This is the reporter of runs in a Rails application that have no other one.
    class Logger
      # The outcomes that are of little interest.
      QUIET = %i[skipped restored].freeze
      private_constant :QUIET

      # @param logger [#info, nil] a Logger of Ruby or ActiveSupport; nil: that of {Context#logger}
      # @example
      #   pipeline.run(reporter: Flowline::Reporter::Logger.new(Logger.new("import.log")))
      def initialize(logger = nil)
        @logger = logger
      end

      # @return [Array<Symbol>] the events that it wants
      def event_names
        [*Event::ALWAYS, :log]
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :run_started then started(event)
        when :step_started then write(event, :debug, "started")
        when :step_retried then retried(event)
        when :log then write(event, event.result.level || :info, event.result.text)
        when :step_finished then write(event, *ending(event, event.result))
        when :run_finished then finished(event)
        end
      end

      private

      def started(event)
        params = Param.show(event.context.public_params)
        write(event, :info, "started#{" (#{params})" unless params.empty?}")
        write(event, :info, event.resumed.to_s) if event.resumed
      end

      def retried(event)
        error, attempt, wait, index, label = event.result.to_a
        item = "item #{index + 1} (#{label}), " if index
        again = wait.zero? ? "at once" : format("in %.2fs", wait)
        write(event, :warn, "#{item}attempt #{attempt} failed: #{brief(Error.account(error))}; again #{again}")
      end

      # @return [Array(Symbol, String)] a level, and how a step ended
      def ending(event, result)
        reason = " (#{result.reason})" if result.reason
        text = [result.status.to_s.tr("_", " "), *("after #{result.attempts} attempts" if result.attempts > 1)].join(" ")
        text = [text + timing(result).to_s + reason.to_s, *counts(result)].join(", ")
        return [QUIET.include?(result.status) ? :debug : :info, text] unless result.failed?

        [:error, "#{text}: #{cause(result.error, event)}"]
      end

      def finished(event)
        result = event.result
        result.warnings.each { |warning| write(event, :warn, warning) }
        outcomes = result.steps.map(&:status).tally.map { |status, count| "#{count} #{status.to_s.tr("_", " ")}" }
        text = "#{result.status.to_s.tr("_", " ")}#{timing(result)}: #{outcomes.join(", ")}"
        return write(event, :info, text) if result.success?

        cause = "; #{cause(result.error, event)}" if result.error && !(StepError === result.error)
        resume = "; run(resume: #{event.run_id.inspect}) resumes it" if event.context.pipeline_name && Flowline.config.store
        write(event, result.status == :cancelled ? :warn : :error, "#{text}#{cause}#{resume}")
      end

      def timing(result)
        format(" in %.2fs", result.duration) if result.duration
      end

      # @return [Array<String>] what the step has reported, or the number of records of its output, and what became of its items
      def counts(result)
        failed = result.items&.failed.to_i
        numbers = result.report.map { |name, number| "#{Name.show(name)}: #{Lines.count(number)}" }
        numbers = ["#{Lines.count(TypeHints.size(result.output))} records"] if numbers.empty? && ::Array === result.output
        [*numbers, *("#{failed} item#{"s" if failed > 1} failed" if failed.positive?)]
      end

      # @return [String] an error in one line
      def cause(error, event)
        text = StepError === error && error.original ? Error.account(error.original) : Error.words(error)
        location = error.location if StepError === error
        [brief(event.context.mask(text)), *("(#{location.delete_prefix("#{Dir.pwd}/")})" if location)].join(" ")
      end

      def brief(text)
        text[/[^\n]*/]
      end

      def write(event, level, text)
        logger = @logger || event.context.logger
        text = Text.line(event.context.mask(text))
        tags = ["Flowline", Text.line(event.context.pipeline_name || "unnamed"), event.run_id, *(Text.line(Name.show(event.step.name)) if event.step)]
        return logger.tagged(*tags) { logger.public_send(level, text) } if logger.respond_to?(:tagged)

        logger.public_send(level, "#{tags.map { |tag| "[#{tag}] " }.join}#{text}")
      end
    end
  end
end
