# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline show [RUN]+: shows all that history has of a run.
      class Show < RunCommand
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "show all that is recorded of a run, the latest by default: params, steps, attempts, outputs, warnings"
        # An example of a call.
        EXAMPLE = "flowline show import"

        private

        def work(arguments)
          run = one(arguments)
          @options[:json] ? @out.puts(json(data(run))) : show(run)
          0
        end

        def data(run)
          { **run.to_h, recorded: run.recorded, steps: run.steps.map(&:to_h), graph: run.graph }
        end

        def show(run)
          @out.puts(headline(run))
          about = { "params" => params(run), "started by" => started_by(run), "defined at" => run.location, "directory" => run.directory,
                    "process" => run.pid, "resumed" => run.resumed, "resumed by" => run.resumed_by }
          about.each { |name, value| @out.puts("  #{name}: #{value}") if value }
          run.steps.zip(step_lines(run)) { |step, line| show_step(step, line) }
          lines = errors(run) + run.warnings.map { |warning| "⚠ #{Name.show(warning)}" }
          lines << restorable(run) if run.failed?
          lines.compact.each { |line| @out.puts("  #{line}") }
        end

        def show_step(step, line)
          @out.puts([line, step.preview&.then { |text| Text.line(text) }].compact.join("   "))
          step.retries.each do |again|
            label = " (#{Name.show(again[:label])})" if again[:label]
            @out.puts("      attempt #{again[:number]}#{" of item #{again[:item]}#{label}" if again[:item]}: #{Name.show(again[:error])}")
          end
          step.failed_items.each { |item| @out.puts("      item #{item[:item]} (#{Name.show(item[:label])}): #{Name.show(item[:error])}") }
        end
      end
    end
  end
end
