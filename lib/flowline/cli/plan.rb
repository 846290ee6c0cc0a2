# frozen_string_literal: true

module Flowline
  module CLI
    # +flowline plan FILE+: what +run+ would do.
    class Plan < Run
      # What it does, for the list of commands.
      SUMMARY = "say what a run would do, and why, without running anything"
      # How it is called.
      EXAMPLE = "flowline plan import.rb --resume"

      private

      def start(pipeline, _name, options)
        plan = pipeline.run(**options, dry_run: true)
        require "json" if @options[:json]
        @out.puts(@options[:json] ? ::JSON.pretty_generate(plan.to_h) : plan.to_s)
        0
      end
    end
  end
end
