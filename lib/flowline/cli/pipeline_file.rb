# frozen_string_literal: true

module Flowline
  module CLI
    # A Ruby file and the pipelines defined while it loads, less those that others include or nest,
    # and base classes without steps.
    class PipelineFile
      CONSTANTS = Module.instance_method(:constants)
      OWN = ["#{File.expand_path("..", __dir__)}/", "#{File.expand_path("..", __dir__)}.rb"].freeze
      private_constant :CONSTANTS, :OWN

      # @param path [String]
      # @param application [Application] what is loaded first
      # @return [PipelineFile]
      # @raise [Usage] the file cannot be read or loaded; the message names the user's line
      def self.load(path, application = Application.new(rails: false))
        raise Usage, "no such file: #{path}#{"; did you mean #{path}.rb?" if File.file?("#{path}.rb")}" unless File.exist?(path)
        raise Usage, "#{path} is a directory; name the file with the pipeline" if File.directory?(path)
        raise Usage, "#{path} cannot be read; check its permissions" unless File.readable?(path)

        new(path, application)
      end

      # @api private
      def initialize(path, application)
        @path = path
        @full_path = File.expand_path(path)
        @failure = LoadFailure.new(path)
        defined = []
        load { Pipeline.observe(->(pipeline) { defined << [pipeline, origin] }) { @own = load_file(application, defined) } }
        load { @pipelines = named(Pipeline::Wholes.of(@own.map(&:first), (defined - @own).map(&:first))) }
        raise Usage, "#{path} defines no pipeline; call Flowline.define in it" if @pipelines.empty?
      end

      # @return [String] as the user named it
      attr_reader :path

      # @return [Hash{String => Pipeline}] by name: +name:+, else the constant's
      attr_reader :pipelines

      # @param name [String, nil]
      # @return [Array(String, Pipeline)] the one of that name, or the only one
      # @raise [Usage] there is none, or there are several
      def choose(name)
        return pipelines.first if name.nil? && pipelines.one?
        raise Usage, "#{@path} has #{pipelines.size} pipelines: #{pipelines.keys.join(", ")}; choose one with --pipeline NAME" if name.nil?

        pipeline = pipelines.fetch(name) do
          raise Usage, "#{@path} has no pipeline #{name}#{Name.suggest(name, pipelines.keys)}; it has #{pipelines.keys.join(", ")}"
        end
        [name, pipeline]
      end

      # Calls the block. Mistakes in a definition or a param are raised as wrong usage, with the file as the user named it.
      # @raise [Usage]
      def check
        yield
      rescue DefinitionError, ParamError => e
        raise Usage, @failure.local(Advice.of(e)), cause: e
      end

      private

      def load
        yield
      rescue Usage
        raise
      rescue StandardError, ScriptError, SystemStackError, SystemExit => e
        raise Usage, @failure.message(e), cause: e
      end

      # Loads the file after its application, which may have loaded it already. The application's own pipelines don't count.
      # @return [Array] of what was defined, the file's part
      def load_file(application, defined)
        @known = Object.constants
        loaded = application.load(@path)
        return loaded_before(defined) if $LOADED_FEATURES.include?(@full_path)

        @known = Object.constants
        before = defined.size
        loaded && @full_path.end_with?(".rb") ? require(@full_path) : Kernel.load(@full_path) # The application's loader then knows the file.
        defined.drop(before)
      end

      # The application has loaded the file, now or before this program was asked for anything.
      def loaded_before(defined)
        found = defined.select { |_, file| file == @full_path }
        found.empty? ? known.map { |pipeline| [pipeline, @full_path] } : found
      end

      # @return [Array<Pipeline>] those of the application that this file defines
      def known
        Flowline.config.pipelines.select { |pipeline| pipeline.location&.start_with?("#{@full_path}:") }
      end

      # @return [String] the file whose code is defining a pipeline
      def origin
        caller_locations.filter_map(&:absolute_path).find { |path| !path.start_with?(*OWN) } # Ruby's own frames have none.
      end

      def named(pipelines)
        constants = pipelines.all?(&:name) ? {} : constants_of(Object, Object.constants - @known)
        pipelines.each_with_index.with_object({}) do |(pipeline, position), by_name|
          name = pipeline.name || constants[pipeline] || "pipeline #{position + 1}"
          raise Usage, "#{@path} has two pipelines named #{name}; rename one" if by_name.key?(name)

          by_name[name] = pipeline
        end
      end

      # Finds the names of pipelines in new constants, including modules within modules.
      def constants_of(top, names)
        found = {}.compare_by_identity
        queue = names.map { |name| [top, name, name.to_s] }
        until queue.empty?
          owner, name, full_name = queue.shift
          next if owner.autoload?(name) || found.key?(owner.const_get(name))

          value = owner.const_get(name)
          found[value] = full_name
          next unless Module === value

          inside = CONSTANTS.bind_call(value, false)
          queue.concat(inside.map { |inner| [value, inner, "#{full_name}::#{inner}"] })
        end
        found
      end
    end
  end
end
