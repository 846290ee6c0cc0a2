# frozen_string_literal: true

module Flowline
  module CLI
    # What the commands on a pipeline file share: options, the file, and help.
    class Command
      # @return [String] the command's name
      def self.command_name
        name[/\w+\z/].downcase
      end

      # @return [String] usage, options and an example
      def self.help
        command = new($stdout, $stderr)
        "#{command.parser}\nExample: #{self::EXAMPLE}\n"
      end

      # @param out [IO] for results
      # @param err [IO] for progress
      def initialize(out, err)
        @out = out
        @err = err
        @options = {}
      end

      # @param arguments [Array<String>]
      # @return [Integer] the exit status
      # @raise [Usage] wrong options
      def call(arguments)
        paths = parse(arguments)
        return @out.puts(self.class.help) || 0 if @options[:help]

        file? ? work(file(paths)) : work_with(paths)
      end

      # @return [OptionParser]
      def parser
        @parser ||= OptionParser.new do |parser|
          parser.banner = "Usage: flowline #{label} #{"FILE " if file?}[options]\n\n#{self.class::SUMMARY.capitalize}.\n\n"
          parser.on("--pipeline NAME", file? ? "which pipeline, if the file has several" : "only this pipeline") { |name| @options[:pipeline] = name }
          declare(parser)
          parser.on("-h", "--help", "say this") { @options[:help] = true }
        end
      end

      private

      # Whether it works on a pipeline file.
      def file?
        true
      end

      def file(paths)
        raise Usage, "#{label}: name the file with the pipeline, as in: #{self.class::EXAMPLE}" if paths.empty?
        raise Usage, "#{label}: one file at a time; #{paths[1]} is one too many#{hint(paths[1])}" if paths.size > 1

        PipelineFile.load(paths.first)
      end

      # What was meant, perhaps.
      def hint(_argument); end

      # Declares the command's own options.
      def declare(parser); end

      def label
        self.class.command_name
      end

      def parse(arguments)
        parser.parse(arguments)
      rescue OptionParser::InvalidOption, OptionParser::AmbiguousOption => e
        given = e.args.first.to_s[/\A[^=]+/]
        known = parser.top.list.grep(OptionParser::Switch).flat_map(&:long)
        raise Usage, "#{label}: unknown option #{given}#{Name.suggest(given, known)}; flowline #{label} --help lists them"
      rescue OptionParser::ParseError => e
        raise Usage, "#{label}: #{e.message}"
      end
    end
  end
end
