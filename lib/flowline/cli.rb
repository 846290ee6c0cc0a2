# frozen_string_literal: true

require "optparse"
require_relative "../flowline"
require_relative "cli/command"
require_relative "cli/pipeline_file"
require_relative "cli/signals"
require_relative "cli/run"
require_relative "cli/plan"
require_relative "cli/records"
require_relative "cli/validate"
require_relative "cli/visualize"

module Flowline
  # The command line. Results go to standard output, everything else to standard error.
  module CLI
    # Wrong usage: one line for standard error, exit status 2.
    class Usage < Error
    end

    # The commands that work on a pipeline file, by name.
    COMMANDS = { "run" => Run, "validate" => Validate, "visualize" => Visualize, "plan" => Plan,
                 "status" => Status, "history" => History, "cache" => Cache }.freeze

    OTHERS = { "help" => "say what a command does", "version" => "say which version this is" }.freeze
    private_constant :OTHERS

    class << self
      # @param argv [Array<String>]
      # @param out [IO]
      # @param err [IO]
      # @return [Integer] the exit status: 0 success, 1 a step failed, 2 wrong usage or definition,
      #   130 or 143 interrupted
      def start(argv, out: $stdout, err: $stderr)
        name, *arguments = argv
        dispatch(name, arguments, out, err)
      rescue Usage, DefinitionError, ParamError => e
        err.puts("flowline: #{e.message}")
        2
      rescue Error => e
        err.puts("flowline: #{e.message}")
        1
      rescue ScriptError, SystemStackError, NoMemoryError => e
        err.puts("flowline: #{e.class} in a step, see above")
        1
      rescue SignalException => e
        err.puts("flowline: stopped by #{e.is_a?(Interrupt) ? "SIGINT" : e.message}")
        128 + e.signo
      rescue Errno::EPIPE
        # Whoever read our output has left, as `head` does.
        0
      end

      private

      def dispatch(name, arguments, out, err)
        case name
        when "version", "--version", "-v" then out.puts("flowline #{VERSION}")
        when "help", "--help", "-h" then out.puts(help(arguments.first))
        when nil then raise Usage, "no command given\n\n#{help(nil)}"
        else return command(name).new(out, err).call(arguments)
        end
        0
      end

      def help(name)
        return command(name).help if name && !OTHERS.key?(name)

        rows = COMMANDS.transform_values { |command| command::SUMMARY }.merge(OTHERS)
        <<~TEXT
          Usage: flowline COMMAND [options]

          #{rows.map { |command, summary| "  #{command.ljust(10)} #{summary}" }.join("\n")}

          flowline COMMAND --help says more. Example: flowline run pipeline.rb --param date=2024-01-31
        TEXT
      end

      def command(name)
        COMMANDS.fetch(name) do
          known = COMMANDS.keys + OTHERS.keys
          raise Usage, "unknown command #{name}#{Name.suggest(name, known, known: "known are")}"
        end
      end
    end
  end
end
