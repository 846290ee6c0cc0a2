# frozen_string_literal: true

module Flowline
  module Integrations
    # The part of a Rails application that has Flowline in its Gemfile:
    #
    # - +config.flowline+ is {Flowline.config}, so that a setting has one name and one place.
    # - The store is in +storage/flowline+, with a folder for each environment.
    # - Runs without +reporter:+ are in the log of the application.
    # - Runs of jobs learn when their worker is about to end, however late their classes are loaded.
    # - Pipelines of a program that loads everything when it boots are built then, so that their mistakes end the boot.
    # @api private
    class Railtie < ::Rails::Railtie
      railtie_name :flowline

      config.flowline = Flowline.config

      # Builds and checks pipelines after the rest of the application's code is loaded. A pipeline that others
      # include or inherit from need not be complete: it is checked as a part of them.
      module EagerLoad
        class << self
          # @return [void]
          # @raise [DefinitionError] lists every mistake
          def eager_load!
            classes = descendants(Pipeline)
            wholes = Pipeline::Wholes.of(classes | AppPipelines.defined)
            DefinitionError.check(wholes.reject { |pipeline| pipeline.owner&.subclasses&.any? }.flat_map(&:problems))
          end

          private

          def descendants(base)
            base.subclasses.flat_map { |pipeline| [pipeline, *descendants(pipeline)] }
          end
        end
      end
      config.eager_load_namespaces << EagerLoad

      rake_tasks { load File.expand_path("tasks.rake", __dir__) }

      initializer "flowline.defaults", before: :load_environment_config do |app|
        Flowline.config.default(root: app.root.join("storage/flowline", ::Rails.env).to_s, reporter: :logger, pipelines: AppPipelines.method(:all))
      end

      config.after_initialize { Job.install }
    end
  end
end
