# frozen_string_literal: true

module Flowline
  module CLI
    # Finds the run that a command is about among those that go on: {Commands::Cancel}, {Commands::Watch}.
    module RunningRuns
      private

      def declare(parser)
        option(parser, "pipeline", "the run of this pipeline", value: "NAME")
        super
      end

      def argument
        "[RUN_ID]"
      end

      # @param arguments [Array<String>] the id of a run, or none: the only one that goes on
      # @return [History::Run]
      # @raise [NotFound] there is none, or more than one
      def running(arguments)
        raise Usage, "#{label}: takes one run, not #{arguments.size}" if arguments.size > 1

        arguments.empty? ? only_one : named(arguments.first)
      end

      def named(run_id)
        Flowline::History.run(run_id, root: root) || raise(NotFound, "#{label}: there is no run #{run_id} in #{root}#{suggestion(run_id)}")
      end

      def only_one
        runs = alive
        return runs.first if runs.one?

        of = " of #{Name.show(@options[:pipeline])}" if @options[:pipeline]
        raise NotFound, "#{label}: no run#{of} is going on in #{root}" if runs.empty?

        names = runs.map { |run| "#{run.run_id} of #{Name.show(run.pipeline)}" }
        raise NotFound, "#{label}: #{runs.size} runs#{of} are going on; name one: #{names.join(", ")}"
      end

      def alive
        Flowline::History.runs(pipeline: @options[:pipeline], status: :running, limit: 100, root: root).select(&:alive?)
      end
    end
  end
end
