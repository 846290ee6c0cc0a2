# frozen_string_literal: true

module Flowline
  module CLI
    # A command about one run. A run is named by its id, by a part of it, or by its pipeline, of which it is the latest run; the
    # latest of all needs no name.
    class RunCommand < StoreCommand
      private

      def declare(parser)
        option(parser, "pipeline", "#{which} of this pipeline", value: "NAME")
        super
      end

      def argument
        "[RUN]"
      end

      # @return [String] which run is taken
      def which
        "the latest run"
      end

      # @param arguments [Array<String>] the name of a run, or none
      # @return [History::Run]
      # @raise [NotFound] there is none
      def one(arguments)
        raise Usage, "#{label}: one run at a time; #{arguments[1]} is one too many" if arguments.size > 1

        chosen(arguments.first)
      end

      # @param word [String, nil]
      # @return [History::Run]
      # @raise [NotFound] there is none
      def chosen(word)
        absent(no_store) unless store
        return latest(@options[:pipeline]) unless word

        names.run(word) || latest(pipeline_of(word))
      end

      def pipeline_of(word)
        absent("there is no run #{word}, and no pipeline of that name, in #{root}#{names.suggestion(word)}") unless names.pipeline?(word)

        other = @options[:pipeline]
        raise Usage, "#{label}: --pipeline #{other} and #{word} are two pipelines" unless [nil, word].include?(other)

        word
      end

      # @param pipeline [String, nil] nil: any
      # @return [History::Run]
      # @raise [NotFound] there is none
      def latest(pipeline)
        Flowline::History.runs(pipeline: pipeline, limit: 1, root: root).first || absent(no_run(pipeline))
      end

      # @param why [String]
      # @raise [NotFound]
      def absent(why)
        raise NotFound, "#{label}: #{why}"
      end

      def no_run(pipeline)
        return "there is no run in #{root}" unless pipeline

        "no run of pipeline #{Name.show(pipeline)} in #{root}#{Name.suggest(pipeline, names.pipelines, known: "there are")}"
      end

      def names
        @names ||= RunNames.new(root, label)
      end
    end
  end
end
