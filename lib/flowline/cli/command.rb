# frozen_string_literal: true

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
          parser.banner = "Usage: flowline #{[label, argument, "[options]"].compact.join(" ")}\n\n#{self.class::SUMMARY.sub(/\A./, &:upcase)}.\n\n"
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

      # Declares an option that takes a whole number from 1 up.
      def count(parser, name, description, short: nil, value: "COUNT")
        key = name.tr("-", "_").to_sym
        parser.on(*short, "--#{name} #{value}", /\A[1-9]\d*\z/, description) { |number| @options[key] = Integer(number) }
      end

      # Declares an option that takes one of these values.
      def choice(parser, name, values, placeholder = "WHEN", default: values.first)
        key = name.tr("-", "_").to_sym
        parser.on("--#{name} #{placeholder}", [values.join(", "), *("default #{default}" if default)].join("; ")) do |given|
          @options[key] = values.find { |value| value.name == given } or
            raise Usage, "#{label}: --#{name} is one of #{values.join(", ")}, not #{given}#{Name.suggest(given, values)}"
        end
      end

      def parse(arguments)
        declared.check(arguments)
        parser.parse(arguments)
      rescue Options::Unknown => e
        raise Usage, "#{label}: #{e.message}#{meant(e, arguments)}; flowline #{label} --help lists the options"
      rescue OptionParser::ParseError => e
        raise Usage, "#{label}: #{problem(e, e.args.first.to_s[/\A[^=]+/])}"
      end

      def declared
        @declared ||= Options.new(parser)
      end

      # Writes a text into the file of +--output+, or prints it.
      # @param page [Boolean] whether it is for a browser, and of no use on a terminal
      def output(text, page: false)
        path = @options[:output]
        raise Usage, "#{label}: write the page to a file, with -o FILE or > FILE" if path.nil? && page && @out.tty?

        path ? File.write(path, text) : @out.print(text)
      rescue SystemCallError => e
        raise if path.nil? # The reader of a pipe is gone.

        raise Usage, "#{label}: #{path} cannot be written: #{e.message[/\A[^@]*/].strip}"
      end

      # @param unknown [Options::Unknown]
      # @return [String, nil] what the option may have meant
      def meant(unknown, _arguments)
        Name.suggest(unknown.flag, declared.names)
      end

      def problem(error, flag)
        help = "flowline #{label} --help lists the options"
        case error
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
