# frozen_string_literal: true

module Flowline
  module CLI
    # The application that a pipeline file belongs to, loaded before the file: the Rails application around the file or in
    # the working directory, and what `--require` names.
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
      # @param file [String] the pipeline file
      # @return [Boolean] whether there is one
      # @raise [Usage] it cannot be loaded; the message names the user's line
      def load(file)
        environment = environment_of(file)
        require_file(environment, "the Rails application of #{file} cannot be loaded (--no-rails runs without it)") if environment
        @requires.each { |name| require_file(path_of(name), "--require #{name}") }
        !environment.nil? || @requires.any?
      end

      private

      def environment_of(file)
        return if !@rails || (defined?(::Rails.application) && ::Rails.application)

        folders = [*folders_above(File.expand_path(file)), Dir.pwd].uniq
        root = folders.find { |folder| File.file?(File.join(folder, ENVIRONMENT)) && SIGNS.any? { |sign| File.exist?(File.join(folder, sign)) } }
        File.join(root, ENVIRONMENT) if root
      end

      def folders_above(path)
        above = File.dirname(path)
        above == path ? [] : [above, *folders_above(above)]
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
