# frozen_string_literal: true

module Flowline
  module CLI
    # Finds what a word on the command line names among the runs of a store: a run, by its id or a part of it that no other run has, or
    # a pipeline.
    class RunNames
      # A beginning of an id, or the digits at its end.
      PART = /\A(?:\d{4,8}|\d{8}T\d{0,6}|\d{8}T\d{6}-\h{0,7}|\h{8})\z/
      # Runs that are looked through.
      MOST = 1_000
      # Runs that are named.
      NAMED = 5
      private_constant :MOST, :NAMED

      # @param root [String] the store
      # @param label [String] what messages begin with
      def initialize(root, label)
        @root = root
        @label = label
      end

      # @param word [String] an id, its beginning, or the digits at its end
      # @return [History::Run, nil] nil: it is none of them
      # @raise [NotFound] several runs have it
      def run(word)
        return History.run(word, root: @root) unless PART.match?(word)

        found = History.runs(text: word, limit: MOST, root: @root).select { |run| run.run_id.start_with?(word) || run.run_id.end_with?("-#{word}") }
        return found.first unless found.size > 1

        ids = found.first(NAMED).map { |run| "#{run.run_id} of #{Name.show(run.pipeline)}" }
        ids << "#{found.size - NAMED} more" if found.size > NAMED
        raise NotFound, "#{@label}: #{word} is a part of #{found.size} ids: #{ids.join(", ")}"
      end

      # @param word [String]
      # @return [Boolean] whether there is a run of that pipeline
      def pipeline?(word)
        pipelines.include?(word)
      end

      # @return [Array<String>] those that have runs
      def pipelines
        @pipelines ||= Store.existing(@root)&.last_runs.to_a.map(&:pipeline)
      end

      # @param word [String] that names nothing
      # @return [String] what it may have meant
      def suggestion(word)
        Name.suggest(word, pipelines + History.runs(limit: 100, root: @root).map(&:run_id))
      end
    end
  end
end
