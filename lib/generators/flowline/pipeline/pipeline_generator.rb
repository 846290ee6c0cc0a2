# frozen_string_literal: true

require "rails/generators"
require "rails/generators/named_base"

module Flowline
  module Generators
    # +rails generate flowline:pipeline NAME [STEP...]+: a pipeline in +app/pipelines+, and its spec or test.
    # @api private
    class PipelineGenerator < ::Rails::Generators::NamedBase
      # The steps of a pipeline for which none are named.
      STEPS = %w[fetch transform load].freeze
      private_constant :STEPS

      source_root File.expand_path("templates", __dir__)
      desc "Creates app/pipelines/NAME_pipeline.rb, and its spec or test. Each step depends on the one before it."
      argument :steps, type: :array, default: STEPS, banner: "STEP STEP"
      class_option :test_framework, desc: "rspec or test_unit; default: that of the application", banner: "NAME"
      check_class_collision suffix: "Pipeline"

      # @return [void]
      # @raise [Thor::Error] a step has a name that no local variable can have, or that of another step
      def check_steps
        names = chain.map(&:first)
        unfit = names.reject { |name| variable?(name) }
        raise ::Thor::Error, "#{unfit.join(", ")}: an output gets the name of its step as a local variable, which Ruby does not allow" if unfit.any?

        twice = names.tally.select { |_, count| count > 1 }.keys
        raise ::Thor::Error, "#{twice.join(", ")}: another step has this name" if twice.any?
      end

      # @return [void]
      def create_pipeline
        template "pipeline.rb.tt", File.join("app/pipelines", class_path, "#{file_name}_pipeline.rb")
      end

      # @return [void]
      def create_test
        case (options[:test_framework] || ::Rails::Generators.options[:rails][:test_framework]).to_s
        when "rspec" then template "spec.rb.tt", File.join("spec/pipelines", class_path, "#{file_name}_pipeline_spec.rb")
        when "test_unit", "minitest" then template "test.rb.tt", File.join("test/pipelines", class_path, "#{file_name}_pipeline_test.rb")
        end
      end

      private

      def file_name
        super.delete_suffix("_pipeline")
      end

      def variable?(name)
        RubyVM::InstructionSequence.compile("proc { |#{name}| }") if name.match?(/\A[[:lower:]_]\w*\z/)
      rescue SyntaxError
        false
      end

      # @return [Array<Array(String, String, nil)>] the names of the steps, and the step before each
      def chain
        names = steps.map { |step| step.underscore.gsub(/\W/, "_") }
        names.zip([nil, *names])
      end
    end
  end
end
