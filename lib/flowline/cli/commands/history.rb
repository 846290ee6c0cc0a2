# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline history+: lists past runs.
      class History < StoreCommand
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "list past runs, the latest first"
        # An example of a call.
        EXAMPLE = "flowline history --pipeline import --limit 20"

        private

        def declare(parser)
          super
          parser.on("--limit COUNT", /\A[1-9]\d*\z/, "how many runs; default 20") { |limit| @options[:limit] = Integer(limit) }
        end

        def rows
          store ? store.runs(@options[:pipeline], @options[:limit] || 20).map { |run| row_of(run) } : []
        end

        def show(run)
          @out.puts(headline(run))
        end
      end
    end
  end
end
