# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline report [RUN]+: makes a page of a recorded run.
      class Report < RunCommand
        # Its line in the list of commands.
        SUMMARY = "make a page of a run: graph, timeline, steps, comparison with an earlier run"
        # An example of a call.
        EXAMPLE = "flowline report -o run.html"

        private

        def declare(parser)
          super
          parser.on("-o", "--output FILE", "write to a file instead of standard output") { |file| @options[:output] = file }
          option(parser, "against", "compare with this run; default: the latest before it that succeeded", value: "RUN")
        end

        def work(arguments)
          run = one(arguments)
          output(run.report(against: @options[:against] && chosen(@options[:against])), page: true)
          0
        end
      end
    end
  end
end
