# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline help [COMMAND]+: shows all commands, or one.
      class Help < Command
        # Its line in the list of commands.
        SUMMARY = "show this help, or that of a command"
        # An example of a call.
        EXAMPLE = "flowline help run"

        # @return [String] all commands
        def self.overview
          rows = NAMES.map { |name| "  #{name.ljust(10)} #{Commands.fetch(name)::SUMMARY}" }
          <<~TEXT
            Usage: flowline COMMAND [options]

            #{rows.join("\n")}

            flowline COMMAND --help shows its options. Example: flowline run pipeline.rb --param date=2024-01-31
          TEXT
        end

        private

        def argument
          "[COMMAND]"
        end

        def work(arguments)
          raise Usage, "help: one command at a time; #{arguments[1]} is one too many" if arguments.size > 1

          @out.puts(arguments.empty? ? self.class.overview : Commands.fetch(arguments.first).help)
          0
        end
      end
    end
  end
end
