# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline validate FILE+: checks the pipelines of a file without running anything.
      class Validate < FileCommand
        # Its line in the list of commands.
        SUMMARY = "check pipelines without running them"
        # An example of a call.
        EXAMPLE = "flowline validate import.rb"

        private

        def work_on(file)
          chosen = @options[:pipeline] ? [file.choose(@options[:pipeline])] : file.pipelines
          file.check { DefinitionError.check(chosen.flat_map { |_, pipeline| pipeline.problems }) }
          chosen.each { |name, pipeline| @out.puts("#{Name.show(name)}: #{pipeline.steps.size} step#{"s" unless pipeline.steps.one?}, valid") }
          0
        end
      end
    end
  end
end
