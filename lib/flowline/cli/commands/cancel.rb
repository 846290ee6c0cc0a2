# frozen_string_literal: true

require "etc"

module Flowline
  module CLI
    module Commands
      # +flowline cancel+: asks a run of another process to end.
      class Cancel < RunningCommand
        # Its line in the list of commands.
        SUMMARY = "cancel a run that goes on, in whatever process"
        # An example of a call.
        EXAMPLE = "flowline cancel --now"

        private

        def declare(parser)
          option(parser, "now", "also stop the steps that run, apart from those that always run")
          super
        end

        def work(arguments)
          run = one(arguments)
          now = @options[:now] == true
          asked = Flowline::Run.cancel(run.run_id, now: now, by: requester, root: root)
          absent("run #{run.run_id} of #{Name.show(run.pipeline)} is not running: #{run.status}") unless asked

          @options[:json] ? @out.puts(json({ run_id: run.run_id, **effect(run) })) : say(run)
          0
        end

        def requester
          "#{Etc.getpwuid&.name || Process.uid}@#{Etc.uname[:nodename]}"
        end

        # Returns what will happen, as far as the run has shown it.
        def effect(run)
          live = run.live
          @items = live ? live.steps.select(&:items).map(&:name) : []
          running = live ? live.steps.select(&:running?).map(&:name) : []
          { now: @options[:now] == true, running: running, clean_ups: run.clean_ups - running }
        end

        def say(run)
          now, running, clean_ups = effect(run).values
          @out.puts("cancelling run #{run.run_id} of #{Name.show(run.pipeline)}")
          @out.puts("  #{now ? "stops" : "finishes first"}: #{shown(running)}") if running.any?
          @out.puts("  runs nevertheless: #{shown(clean_ups)}") if clean_ups.any?
          @out.puts("  to follow it: flowline watch #{run.run_id}")
        end

        def shown(list)
          first = list.first(5).map { |name| "#{"the running items of " if @items.include?(name)}#{Name.show(name)}" }
          first << "#{list.size - 5} more" if list.size > 5
          first.join(", ")
        end
      end
    end
  end
end
