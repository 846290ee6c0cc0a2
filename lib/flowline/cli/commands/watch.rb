# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline watch+: follows a run of another process to its end.
      class Watch < RunningCommand
        # Its line in the list of commands.
        SUMMARY = "follow a run that goes on, in whatever process, to its end"
        # An example of a call.
        EXAMPLE = "flowline watch"
        # Seconds between two looks at the run, between two frames, and between two lines that say what goes on.
        PAUSE = 0.2
        FRAME = 0.1
        QUIET = 10.0
        private_constant :PAUSE, :FRAME, :QUIET

        private

        # Exits with 1 if the run does not succeed.
        def work(arguments)
          run = one(arguments)
          require "json"
          require "time"
          @out.puts(headline(run)) unless @options[:json]
          @seen = {}
          run = screen(run) { @screen ? follow_live(run) : follow(run) }
          conclude(run)
          run.failed? ? 1 : 0
        rescue Interrupt
          @err.puts("flowline: #{label}: run #{run.run_id} goes on")
          128 + Signal.list["INT"]
        end

        # Calls the block with live rows in a terminal, which are removed afterwards.
        def screen(run)
          @screen = WatchedScreen.for(@out, run, timings(run)) unless @options[:json] || !run.alive?
          yield
        ensure
          @screen&.close
          @screen = nil
        end

        # Returns the times of earlier runs. The first run of a pipeline would be compared with its own steps.
        def timings(run)
          run.earlier(1).empty? ? {} : store.timings(run.pipeline)
        end

        def follow_live(run)
          looked = nil
          loop do
            if looked.nil? || Clock.now - looked >= PAUSE
              looked = Clock.now
              run = Flowline::History.run(run.run_id, root: root) || run
              show_ended(run)
              return run unless run.alive?

              @screen.update(run)
            end
            @screen.draw
            sleep(FRAME)
          end
        end

        def follow(run)
          spoken = Clock.now
          loop do
            run = Flowline::History.run(run.run_id, root: root) || run
            spoken = Clock.now if show_ended(run)
            return run unless run.alive?

            if Clock.now - spoken >= QUIET
              show_open(run)
              spoken = Clock.now
            end
            @out.flush
            sleep(PAUSE)
          end
        end

        # @return [Boolean] whether steps have ended that were not shown yet
        def show_ended(run)
          fresh = run.steps.reject { |step| %i[running pending].include?(step.status) || @seen[step.name] }
          fresh.each do |step|
            @seen[step.name] = true
            (@screen || @out).puts(@options[:json] ? line(step.to_h) : step_line(step))
          end
          fresh.any?
        end

        def show_open(run)
          live = run.live or return
          return @out.puts(line(live.to_h)) if @options[:json]

          live.steps.first(5).each { |step| @out.puts(open_line(step)) }
          @out.puts("  … #{live.open - 5} more") if live.open > 5
        end

        def conclude(run)
          return @out.puts(line(run.to_h)) if @options[:json]

          [*errors(run), *(restorable(run) if run.failed?)].each { |line| put("  #{line}") }
          put(headline(run))
        end

        def line(facts)
          ::JSON.generate(plain(facts))
        end
      end
    end
  end
end
