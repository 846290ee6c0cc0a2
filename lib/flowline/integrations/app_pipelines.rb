# frozen_string_literal: true

module Flowline
  module Integrations
    # The pipelines in the folders +app/pipelines+ of a Rails application and its engines: the constants that the files there define.
    # They are looked up by name each time, because code that was reloaded has other objects.
    # @api private
    module AppPipelines
      class << self
        # @return [Array<Pipeline, Class>] those that no other one includes or nests
        def all
          Pipeline::Wholes.of(defined)
        end

        # @return [Array<Pipeline, Class>] all of them, also parts
        def defined
          found = folders.flat_map { |folder| Dir.glob("**/*.rb", base: folder).sort.map { |path| constant(folder, path) } }
          found.select { |object| Pipeline.part?(object) }
        end

        private

        def folders
          ::ActiveSupport::Dependencies.autoload_paths.map(&:to_s).grep(%r{/app/pipelines\z}).select { |folder| File.directory?(folder) }
        end

        def constant(folder, path)
          inflector = ::Rails.autoloaders.main.inflector
          names = path.delete_suffix(".rb").split("/").map { |part| inflector.camelize(part, File.join(folder, path)) }
          Object.const_get(names.join("::"))
        end
      end
    end
  end
end
