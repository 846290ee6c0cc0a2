# frozen_string_literal: true

module Flowline
  module CLI
    # Finds the command that the arguments name, calls it, and turns errors into a line and an exit status.
    class Dispatcher
      # Other spellings of commands.
      ALIASES = { "--help" => "help", "-h" => "help", "--version" => "version", "-v" => "version" }.freeze
      # Exit statuses of errors, the most specific class first. 75 is EX_TEMPFAIL of sysexits(3): try again later.
      STATUSES = { Usage => 2, DefinitionError => 2, ParamError => 2, LockedError => 75, Error => 1 }.freeze
      private_constant :ALIASES, :STATUSES

      # @param out [IO] for results
      # @param err [IO] for progress and errors
      def initialize(out, err)
        @out = out
        @err = err
      end

      # @param argv [Array<String>] the name of a command, and its arguments
      # @return [Integer] the exit status
      def call(argv)
        name, *arguments = argv
        raise Usage, "no command given\n\n#{Commands::Help.overview}" if name.nil?

        Commands.fetch(ALIASES.fetch(name, name)).new(@out, @err).call(arguments)
      rescue Error => e
        fail_with(e)
      rescue ScriptError, SystemStackError, NoMemoryError => e
        @err.puts("flowline: #{e.class} in a step, see above")
        1
      rescue SignalException => e
        @err.puts("flowline: stopped by #{e.is_a?(Interrupt) ? "SIGINT" : e.message}")
        128 + e.signo
      rescue Errno::EPIPE
        0 # The reader of the output has closed its end, as `head` does.
      end

      private

      def fail_with(error)
        @err.puts("flowline: #{Advice.of(error)}")
        STATUSES.find { |type, _| type === error }.last
      end
    end
  end
end
