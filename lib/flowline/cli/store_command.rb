# frozen_string_literal: true

module Flowline
  module CLI
    # A command that shows what a store holds, as text or as JSON.
    class StoreCommand < Command
      private

      # @return [Array] the rows to show
      def rows
        raise NotImplementedError
      end

      # @return [Hash] what JSON has of a row
      def data(row)
        row
      end

      # Writes one row as text.
      def show(row)
        raise NotImplementedError
      end

      def declare(parser)
        option(parser, "root", "the store: default FLOWLINE_ROOT, else .flowline, or that of the Rails application", value: "DIRECTORY")
        parser.on("--no-rails", "do not load the Rails application around the working directory to find its store") { @options[:rails] = false }
        option(parser, "json", "write JSON")
      end

      def work(arguments)
        raise Usage, "#{label}: takes no argument #{arguments.first}" unless arguments.empty?

        found = rows
        @out.puts(json(found.map { |row| data(row) })) if @options[:json]
        return nothing if found.empty?

        found.each { |row| show(row) } unless @options[:json]
        0
      end

      # Prints that there is nothing to show. This is an error only if the options name something that does not exist.
      # @return [Integer] the exit status
      def nothing
        missing.tap { |status| @err.puts("#{"flowline: " unless status.zero?}#{label}: #{absence}") }
      end

      # @return [Integer] the exit status if there is nothing to show: 0, or 1 or 2 if something does not exist that is needed or named
      def missing
        store ? 0 : 1
      end

      # @return [String] the message that there is nothing to show
      def absence
        store ? "nothing in #{root}" : no_store
      end

      # @return [String] that there is no store, and how to name another one: the words of all commands
      def no_store
        "there is no store at #{root}; #{@options[:root] ? "check --root" : "--root or FLOWLINE_ROOT names another one"}"
      end

      # Writes a line of text, wrapped if the terminal is narrower.
      def put(line)
        columns = Reporter::Terminal.new(@out).columns
        return @out.puts(line) if columns.nil? || Text.width(line) <= columns

        indent = line[/\A */]
        rows = Text.wrap(line.strip.gsub(/ {3,}/, "  "), [columns - indent.size - 4, 8].max)
        rows.each_with_index { |row, index| @out.puts("#{indent}#{"    " if index.positive?}#{row}") }
      end

      # @return [String] the full path of the store
      def root
        @root ||= Store.path(@options[:root] || configured_root)
      end

      def configured_root
        Application.new(rails: @options.fetch(:rails, true)).load unless ENV["FLOWLINE_ROOT"]
        Flowline.config.root
      end

      # @return [Store::SQLite, nil] nil: there is none
      def store
        Store.existing(root)
      end

      def json(value)
        return "[]" if value == []

        require "json"
        require "time"
        ::JSON.pretty_generate(plain(value))
      end

      def plain(value)
        case value
        when Hash then value.transform_values { |inner| plain(inner) }
        when Array then value.map { |inner| plain(inner) }
        when Time then value.iso8601(3)
        else value
        end
      end
    end
  end
end
