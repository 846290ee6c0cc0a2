# frozen_string_literal: true

module Flowline
  module CLI
    # A pipeline that the application knows by name ({Configuration#pipelines}), instead of by its {PipelineFile}.
    class NamedPipeline
      # @param name [String]
      # @param application [Application]
      # @return [NamedPipeline, nil] nil: the application has none of that name
      # @raise [Usage] the application, or one of its pipelines, cannot be loaded
      def self.find(name, application)
        application.load
        pipeline = known.find { |candidate| candidate.name == name }
        new(pipeline) if pipeline
      end

      # @return [Array<Pipeline>] those of the application
      # @raise [Usage] one of them cannot be loaded
      def self.known
        Flowline.config.pipelines
      rescue StandardError, ScriptError, SystemStackError => e
        raise Usage, "the pipelines of the application cannot be loaded: #{LoadFailure.new("config").message(e)}", cause: e
      end

      # @param pipeline [Pipeline]
      def initialize(pipeline)
        @pipeline = pipeline
      end

      # @return [String] the file that defines it
      def path
        @pipeline.location.to_s[/\A(.*):\d+\z/, 1] || @pipeline.name
      end

      # @return [Hash{String => Pipeline}]
      def pipelines
        { @pipeline.name => @pipeline }
      end

      # @param name [String, nil] the value of --pipeline
      # @return [Array(String, Pipeline)]
      # @raise [Usage] it is another one
      def choose(name)
        return pipelines.first if [nil, @pipeline.name].include?(name)

        raise Usage, "#{@pipeline.name} and --pipeline #{name} are two pipelines"
      end

      # Calls the block, as {PipelineFile#check} does.
      # @raise [Usage]
      def check
        yield
      rescue DefinitionError, ParamError => e
        raise Usage, LoadFailure.new(path).local(Advice.of(e)), cause: e
      end
    end
  end
end
