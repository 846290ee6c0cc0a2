# frozen_string_literal: true

module Flowline
  module CLI
    # +flowline validate FILE+: checks the pipelines of a file without running anything.
    class Validate < Command
      # What it does, for the list of commands.
      SUMMARY = "check pipelines without running them"
      # How it is called.
      EXAMPLE = "flowline validate import.rb"

      private

      def work(file)
        chosen = @options[:pipeline] ? [file.choose(@options[:pipeline])] : file.pipelines
        file.guard { DefinitionError.check(chosen.flat_map { |_, pipeline| pipeline.problems }) }
        chosen.each { |name, pipeline| @out.puts("#{name}: #{pipeline.steps.size} step#{"s" unless pipeline.steps.one?}, valid") }
        0
      end
    end
  end
end
