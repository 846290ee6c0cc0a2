# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline report [RUN]+: makes a page of a recorded run.
      class Report < StoreCommand
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "make a page of a run: graph, timeline, steps, comparison with an earlier run"
        # An example of a call.
        EXAMPLE = "flowline report -o run.html"

        private

        def argument
          "[RUN_ID]"
        end

        def declare(parser)
          super
          parser.on("-o", "--output FILE", "write to a file instead of standard output") { |file| @options[:output] = file }
          option(parser, "against", "compare with this run; default: the latest before it that succeeded", value: "RUN_ID")
        end

        def work(arguments)
          raise Usage, "#{label}: one run at a time; #{arguments[1]} is one too many" if arguments.size > 1

          run = arguments.empty? ? latest : find(arguments.first)
          return nothing unless run

          html = run.report(against: @options[:against] && find(@options[:against]))
          output(html)
          0
        end

        def latest
          Flowline::History.runs(pipeline: @options[:pipeline], limit: 1, root: root).first
        end

        def find(run_id)
          Flowline::History.run(run_id, root: root) || raise(NotFound, "#{label}: there is no run #{run_id} in #{root}#{suggestion(run_id)}")
        end
      end
    end
  end
end
