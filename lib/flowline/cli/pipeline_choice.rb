# frozen_string_literal: true

module Flowline
  module CLI
    # The pipeline whose runs a command shows, as its argument or +--pipeline+: {Commands::Status}, {Commands::History}.
    module PipelineChoice
      private

      def declare(parser)
        option(parser, "pipeline", "only this pipeline", value: "NAME")
        super
      end

      def argument
        "[PIPELINE]"
      end

      def work(arguments)
        @options[:pipeline] = pipeline_of(arguments) unless arguments.empty?
        super([])
      end

      def pipeline_of(arguments)
        name, extra = arguments
        raise Usage, "#{label}: one pipeline at a time; #{extra} is one too many" if extra
        raise Usage, "#{label}: takes the name of a pipeline, not the file #{name}" if File.file?(name)
        raise Usage, "#{label}: --pipeline #{@options[:pipeline]} and #{name} are two pipelines" unless [nil, name].include?(@options[:pipeline])

        name
      end

      # @return [Integer] 2 if the pipeline does not exist
      def missing
        unknown_pipeline? ? 2 : super
      end

      def unknown_pipeline?
        @options.key?(:pipeline) && !store.nil? && !known.include?(@options[:pipeline])
      end

      def absence
        return super unless unknown_pipeline?

        name = @options[:pipeline]
        "no run of pipeline #{Name.show(name)} in #{root}#{Name.suggest(name, known, known: "there are")}"
      end

      def known
        @known ||= store.last_runs.map(&:pipeline)
      end
    end
  end
end
