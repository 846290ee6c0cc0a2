# frozen_string_literal: true

require "rbconfig"

module Flowline
  module CLI
    # The reason why a pipeline file cannot be loaded, as one line: the user's line at fault, the problem, and the line of the
    # pipeline file that loaded it, if the fault is in another file.
    class LoadFailure
      # Folders whose code is not the user's own.
      FOREIGN = ["<internal:", File.expand_path("..", __dir__), RbConfig::CONFIG["rubylibprefix"], *(Gem.path if defined?(Gem))].freeze
      private_constant :FOREIGN

      # @param path [String] as the user named the file
      def initialize(path)
        @path = path
        @full_path = File.expand_path(path)
      end

      # @param error [Exception] raised while the file was loaded
      # @return [String]
      def message(error)
        case error
        when DefinitionError then local(error.message)
        when SyntaxError then "#{local(syntax(error))}#{origin(error, error.message)}"
        when SystemExit then "#{location(error)}: the file calls exit while it loads; guard it with `if $PROGRAM_NAME == __FILE__`"
        else "#{location(error)}: #{local(Error.words(error).lines.first.to_s.chomp)} (#{TypeHints.kind(error)})#{origin(error, at(error))}"
        end
      end

      # @return [String] with file names as the user writes them
      def local(text)
        text.gsub(@full_path, @path).gsub("#{Dir.pwd}/", "")
      end

      private

      def location(error)
        local(at(error))
      end

      # Returns the innermost line of the user's code.
      def at(error)
        frames = Backtrace.of(error) || []
        line = frames.find { |frame| !frame.start_with?(*FOREIGN) } || own(error) || frames.first || @full_path
        line[/\A.+?:\d+/] || line
      end

      # Returns the innermost line of the pipeline file.
      def own(error)
        Backtrace.of(error)&.find { |frame| frame.start_with?("#{@full_path}:") }
      end

      def origin(error, location)
        return if location.start_with?(@full_path)

        line = own(error)
        "; loaded from #{local(line[/\A.+?:\d+/])}" if line
      end

      # Returns the source location and the problem of a SyntaxError. Ruby's parsers write them in one line or in several.
      def syntax(error)
        first, *others = error.message.lines.map(&:chomp)
        detail = others.find { |line| line =~ /\^+ +\S/ }
        detail && first.match?(/errors? found/) ? "#{first}: #{detail[/\^+ +(.*)/, 1]}" : first
      end
    end
  end
end
