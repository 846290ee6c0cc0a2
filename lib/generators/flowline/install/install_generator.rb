# frozen_string_literal: true

require "rails/generators"

module Flowline
  # The generators of Rails applications.
  module Generators
    # +rails generate flowline:install+: settings, a folder for pipelines, and the page of runs, which is closed until the application
    # says who may see it. +--no-web+ leaves the page out.
    # @api private
    class InstallGenerator < ::Rails::Generators::Base
      source_root File.expand_path("templates", __dir__)
      desc "Creates config/initializers/flowline.rb and app/pipelines, and mounts the page of runs at /flowline."
      class_option :web, type: :boolean, default: true, desc: "Mount Flowline::Web, with config/routes/flowline.rb"

      # @return [void]
      def create_settings
        template "initializer.rb.tt", "config/initializers/flowline.rb"
        create_file "app/pipelines/.keep"
      end

      # @return [void]
      def mount_web
        return unless options[:web]

        template "routes.rb.tt", "config/routes/flowline.rb"
        route "draw :flowline"
      end
    end
  end
end
