# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline plan FILE+: shows what +run+ would do.
      class Plan < Run
        # Its line in the list of commands.
        SUMMARY = "show what a run would do, and why, without running anything"
        # An example of a call.
        EXAMPLE = "flowline plan import.rb --resume"

        private

        def declare_output(parser)
          option(parser, "json", "write JSON")
        end

        def start(pipeline, _name, options)
          warn_of_options(pipeline, options)
          plan = pipeline.run(**options, dry_run: true)
          require "json" if @options[:json]
          @out.puts(@options[:json] ? ::JSON.pretty_generate(plan.to_h) : plan.to_s)
          0
        end
      end
    end
  end
end
