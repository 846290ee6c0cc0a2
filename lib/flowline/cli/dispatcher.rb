# frozen_string_literal: true

module Flowline
  module CLI
    # Finds the command that the arguments name, calls it, and turns errors into a line and an exit status.
    class Dispatcher
      # Other spellings of commands.
      ALIASES = { "--help" => "help", "-h" => "help", "--version" => "version", "-v" => "version" }.freeze
      # Exit statuses of errors, the most specific class first. 75 is EX_TEMPFAIL of sysexits(3): try again later.
      STATUSES = { Usage => 2, DefinitionError => 2, ParamError => 2, LockedError => 75, Error => 1 }.freeze
      # Characters of a message.
      LONGEST = 8_000
      private_constant :ALIASES, :STATUSES, :LONGEST

      # @param error [Error]
      # @return [Integer] the exit status
      def self.status(error)
        STATUSES.find { |type, _| type === error }.last
      end

      # @param out [IO] for results
      # @param err [IO] for progress and errors
      def initialize(out, err)
        @out = out
        @err = err
      end

      # @param argv [Array<String>] the name of a command, and its arguments
      # @return [Integer] the exit status
      def call(argv)
        perform(*argv).tap { @out.flush }
      rescue Error => e
        say(Advice.of(e))
        Dispatcher.status(e)
      rescue SignalException => e
        say("stopped by #{e.is_a?(Interrupt) ? "SIGINT" : e.message}")
        128 + e.signo
      rescue Errno::EPIPE
        0 # The reader of the output has closed its end, as `head` does.
      rescue SystemCallError, IOError => e
        say(e.message.end_with?("getcwd") ? "the working directory was removed; change to another one" : "the output cannot be written: #{e.message}")
        1
      end

      private

      def perform(name = nil, *arguments)
        raise Usage, "no command given\n\n#{Commands::Help.overview}" if name.nil?

        damaged = [name, *arguments].find { |argument| !argument.valid_encoding? }
        raise Usage, "an argument is not valid #{damaged.encoding}: #{damaged.inspect}" if damaged

        Commands.fetch(ALIASES.fetch(name, name)).new(@out, @err).call(arguments)
      end

      # Writes a message, although the reader may be gone.
      def say(text)
        @err.puts("flowline: #{Text.plain(text)[0, LONGEST]}")
      rescue IOError, SystemCallError
        nil
      end
    end
  end
end
