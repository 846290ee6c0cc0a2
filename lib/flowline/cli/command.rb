# frozen_string_literal: true

require "optparse"

module Flowline
  module CLI
    # A command: its options, its help and its work. Each command in {Commands} has a +SUMMARY+ for the list of
    # commands, and an +EXAMPLE+ of a call.
    class Command
      # @return [String] the command's name
      def self.command_name
        name[/\w+\z/].downcase
      end

      # @return [String] usage, options and an example
      def self.help
        "#{new($stdout, $stderr).parser}\nExample: #{self::EXAMPLE}\n"
      end

      # @param out [IO] for results
      # @param err [IO] for progress and messages
      def initialize(out, err)
        @out = out
        @err = err
        @options = {}
      end

      # @param arguments [Array<String>]
      # @return [Integer] the exit status
      # @raise [Usage] wrong options or arguments
      def call(arguments)
        rest = parse(arguments)
        return work(rest) unless @options[:help]

        @out.puts(self.class.help)
        0
      end

      # @return [OptionParser]
      def parser
        @parser ||= OptionParser.new do |parser|
          parser.banner = "Usage: flowline #{[label, argument, "[options]"].compact.join(" ")}\n\n#{self.class::SUMMARY.capitalize}.\n\n"
          declare(parser)
          parser.on("-h", "--help", "show this help") { @options[:help] = true }
        end
      end

      private

      # Runs the command.
      # @param arguments [Array<String>] other than options
      # @return [Integer] the exit status
      def work(arguments)
        raise NotImplementedError
      end

      # Declares the command's own options.
      def declare(parser); end

      # @return [String, nil] its argument, as the help names it
      def argument; end

      def label
        self.class.command_name
      end

      # Declares an option and stores its value under its name.
      def option(parser, name, *description, value: nil)
        key = name.tr("-", "_").to_sym
        parser.on(["--#{name}", value].compact.join(" "), *description) { |given| @options[key] = given }
      end

      def parse(arguments)
        refuse_abbreviations(arguments)
        parser.parse(arguments)
      rescue OptionParser::ParseError => e
        raise Usage, "#{label}: #{problem(e, e.args.first.to_s[/\A[^=]+/])}"
      end

      # Raises for abbreviated options. OptionParser's +require_exact+ cannot be used, because on Ruby 3.1 it also refuses
      # `--format=dot`.
      def refuse_abbreviations(arguments)
        given = arguments.take_while { |argument| argument != "--" }.grep(/\A--/)
        unknown = given.find { |argument| !flags.include?(argument[/\A[^=]+/]) }
        raise OptionParser::InvalidOption, unknown if unknown
      end

      # @return [Array<String>] the options, in full
      def flags
        parser.top.list.grep(OptionParser::Switch).flat_map(&:long)
      end

      def problem(error, flag)
        help = "flowline #{label} --help lists the options"
        case error
        when OptionParser::InvalidOption then "unknown option #{flag}#{Name.suggest(flag, flags)}; #{help}"
        when OptionParser::MissingArgument then "#{flag} needs a value; #{help}"
        when OptionParser::NeedlessArgument then "#{flag} takes no value; #{help}"
        when OptionParser::InvalidArgument then "#{error.args.join(" ")} is not #{expected(flag)}"
        else error.message
        end
      end

      # @return [String] the kind of value that an option takes
      def expected(_flag)
        "a whole number from 1 up"
      end
    end
  end
end
