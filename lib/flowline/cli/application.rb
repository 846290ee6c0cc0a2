# frozen_string_literal: true

module Flowline
  module CLI
    # The application that pipelines and their store belong to, loaded first: the Rails application around a pipeline file or the
    # working directory, and what `--require` names.
    class Application
      # The file that loads a Rails application.
      ENVIRONMENT = "config/environment.rb"
      # A Rails application has one of these as well.
      SIGNS = %w[config/application.rb bin/rails].freeze
      private_constant :ENVIRONMENT, :SIGNS

      # @param requires [Array<String>] files and libraries
      # @param rails [Boolean] whether a Rails application is looked for
      def initialize(requires: [], rails: true)
        @requires = requires
        @rails = rails
      end

      # Loads the application.
      # @param file [String, nil] the pipeline file; nil: there is none
      # @return [Boolean] whether there is one
      # @raise [Usage] it cannot be loaded; the message names the user's line
      def load(file = nil)
        root = root_of(file) if @rails && !rails?
        load_rails(root, file) if root
        @requires.each { |name| require_file(path_of(name), "--require #{name}") }
        !root.nil? || @requires.any? || (@rails && rails?)
      end

      private

      def rails?
        defined?(::Rails.application) && ::Rails.application ? true : false
      end

      # @return [String, nil] the folder of the Rails application
      def root_of(file)
        folders = [*(folders_above(File.expand_path(file)) if file), *folders_above(File.join(Dir.pwd, "."))].uniq
        folders.find { |folder| File.file?(File.join(folder, ENVIRONMENT)) && SIGNS.any? { |sign| File.exist?(File.join(folder, sign)) } }
      end

      def folders_above(path)
        above = File.dirname(path)
        above == path ? [] : [above, *folders_above(above)]
      end

      def load_rails(root, file)
        what = "the Rails application of #{file || Dir.pwd} cannot be loaded (--no-rails runs without it)"
        boot = File.join(root, "config/boot.rb")
        require_file(boot, what) if File.file?(boot)
        load_railtie
        require_file(File.join(root, ENVIRONMENT), what)
      end

      # Flowline loads its Railtie where Rails is there first. Here it is the other way round.
      def load_railtie
        require "rails"
        Integrations::Railtie
      rescue LoadError
        nil # The application says what is missing.
      end

      # @return [String] the file of that name in the working directory, or else the name of a library
      def path_of(name)
        found = [name, "#{name}.rb"].find { |path| File.file?(path) }
        found ? File.expand_path(found) : name
      end

      def require_file(path, what)
        require path
      rescue LoadError => e
        raise Usage, "#{what}: #{e.path == path ? "there is no such file or library" : LoadFailure.new(path).message(e)}", cause: e
      rescue StandardError, ScriptError, SystemStackError, SystemExit => e
        raise Usage, "#{what}: #{LoadFailure.new(path).message(e)}", cause: e
      end
    end
  end
end
