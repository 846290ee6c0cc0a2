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
          chosen.each { |name, pipeline| show(name, pipeline) }
          0
        end

        def show(name, pipeline)
          @out.puts("#{Name.show(name)}: #{pipeline.steps.size} step#{"s" unless pipeline.steps.one?}, valid")
          @out.puts("  #{Text.line(pipeline.description)}") if pipeline.description
          pipeline.params.each_value { |param| @out.puts("  --param #{Name.show(param.name)}=…  #{facts(param).join(", ")}") }
        end

        def facts(param)
          type = param.type.to_s unless param.type == :any
          flags = { "required" => param.required?, "secret" => param.secret? }.select { |_, set| set }.keys
          [type, *flags, default(param), values(param.in), param.description&.then { |text| Text.line(text) }].compact
        end

        def default(param)
          return if param.default.nil? || param.secret?

          param.default.respond_to?(:call) ? "default from a block" : "default #{Param.text(param.default)}"
        end

        def values(allowed)
          case allowed
          when Range then "in #{Text.line(allowed.inspect)}"
          when Array then "one of #{allowed.map { |value| Param.text(value) }.join(" ")}"
          end
        end
      end
    end
  end
end
