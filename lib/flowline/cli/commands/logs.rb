# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline logs+: shows what the steps of a run have logged and printed.
      class Logs < RunCommand
        # Its line in the list of commands.
        SUMMARY = "show what the steps of a run have logged, and printed if that was captured"
        # An example of a call.
        EXAMPLE = "flowline logs 20261124T015539-04c21255 fetch --follow"
        # Seconds between two looks at the log.
        PAUSE = 0.2
        private_constant :PAUSE

        private

        def declare(parser)
          parser.on("-f", "--follow", "go on until the run ends") { @options[:follow] = true }
          count(parser, "tail", "only the last lines; how many", short: "-n")
          super
        end

        def argument
          "[RUN] [STEP]"
        end

        def work(arguments)
          run, step = run_and_step(arguments)
          require "json"
          require "time"
          @counts = Hash.new(0)
          @options[:follow] ? follow(run, step) : print_lines(tail(run.logs(step)))
          @err.puts("#{label}: no lines of #{step || "any step"} in run #{run.run_id} of #{Name.show(run.pipeline)}") if @counts.empty?
          0
        end

        # The run and the step that the arguments name. One argument is a step of the latest run, or else a run.
        def run_and_step(arguments)
          raise Usage, "#{label}: takes a run and a step, not #{arguments.size} arguments" if arguments.size > 2

          first, step = arguments
          return [run = chosen(first), step && known_step(run, step)] if step || first.nil? || names.run(first)

          run = chosen(nil)
          return [run, first] if run.step(first)

          names.pipeline?(first) ? [chosen(first), nil] : [run, known_step(run, first)]
        end

        def known_step(run, step)
          return step if run.step(step)

          absent("there is neither a run #{step} nor a step of that name in run #{run.run_id}#{Name.suggest(step, run.steps.map(&:name))}")
        end

        def follow(run, step)
          after = 0
          loop do
            alive = run.alive? # First: it may end meanwhile.
            first = after.zero?
            lines, after = run.log(step, after: after)
            print_lines(first ? tail(lines) : lines)
            return unless alive

            @out.flush
            sleep(PAUSE)
            run = Flowline::History.run(run.run_id, root: root) || run
          end
        end

        # Numbers of lines that are not wanted are not missing.
        def tail(lines)
          return lines unless @options[:tail]

          shown = lines.last(@options[:tail])
          lines.first(lines.size - shown.size).each { |line| @counts[line.step] = line.number + 1 }
          shown
        end

        def print_lines(lines)
          lines.each do |line|
            left_out = line.number - @counts[line.step]
            @out.puts("… #{left_out} lines of #{Name.show(line.step)} left out") if left_out.positive? && !@options[:json]
            @counts[line.step] = line.number + 1
            @out.puts(@options[:json] ? ::JSON.generate(plain(line.to_h)) : text(line))
          end
        end

        def text(line)
          source = line.step ? "#{Name.show(line.step)}#{"[#{line.item + 1}]" if line.item}" : "run"
          retried = " (attempt #{line.attempt})" if line.attempt && line.attempt > 1
          about = line.stream == :log ? line.level.name : line.stream.name
          "#{line.time.strftime("%H:%M:%S.%L")} #{source}#{retried} #{about.ljust(5)} #{Text.line(line.text)}"
        end
      end
    end
  end
end
