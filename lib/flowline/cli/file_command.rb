# frozen_string_literal: true

module Flowline
  module CLI
    # A command on the pipelines of a file, or on one that the application knows by name.
    class FileCommand < Command
      private

      # Works on the file.
      # @param file [PipelineFile]
      # @return [Integer] the exit status
      def work_on(file)
        raise NotImplementedError
      end

      def argument
        "FILE"
      end

      def declare(parser)
        option(parser, "pipeline", "which pipeline, if the file has several", value: "NAME")
        parser.on("-r", "--require FILE", "load this file or library first; may be repeated") { |name| (@options[:require] ||= []) << name }
        parser.on("--no-rails", "do not load the Rails application around FILE, or around the working directory") { @options[:rails] = false }
      end

      def work(arguments)
        raise Usage, "#{label}: name the file with the pipeline, as in: #{self.class::EXAMPLE}" if arguments.empty?
        raise Usage, "#{label}: one file at a time; #{arguments[1]} is one too many#{hint(arguments[1])}" if arguments.size > 1

        work_on(open_pipeline(arguments.first))
      end

      # @param argument [String]
      # @return [PipelineFile, NamedPipeline]
      # @raise [Usage] there is neither
      def open_pipeline(argument)
        return PipelineFile.load(argument, application) if File.exist?(argument) || argument.end_with?(".rb") || argument.include?("/")

        NamedPipeline.find(argument, application) || unknown(argument)
      end

      def unknown(argument)
        names = NamedPipeline.known.map(&:name)
        return PipelineFile.load(argument, application) if names.empty?

        raise Usage, "no file and no pipeline of the application is called #{argument}#{Name.suggest(argument, names, known: "its pipelines are")}"
      end

      def application
        @application ||= Application.new(requires: @options[:require] || [], rails: @options.fetch(:rails, true))
      end

      # An option that is the name of a param of the pipeline is probably meant as that.
      def meant(unknown, arguments)
        name = unknown.flag.delete_prefix("--").tr("-", "_")
        known = params_of(arguments)
        return "; write the param as --param #{[name, unknown.value || "VALUE"].join("=")}" if known.include?(name)

        nearest = Native.nearest(name, known) unless Native.nearest(unknown.flag, declared.names)
        nearest ? "; did you mean --param #{nearest}=#{unknown.value || "VALUE"}?" : super
      end

      # @return [Array<String>] the params of the pipelines of the file that the arguments name, if it can be loaded
      def params_of(arguments)
        path = arguments.find { |argument| File.file?(argument) } or return []
        PipelineFile.load(path, application).pipelines.each_value.flat_map { |pipeline| pipeline.params.keys.map(&:name) }
      rescue Usage
        []
      end

      # @return [String, nil] what a superfluous argument may have meant
      def hint(_argument); end
    end
  end
end
