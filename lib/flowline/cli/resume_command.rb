# frozen_string_literal: true

require "shellwords"

module Flowline
  module CLI
    # The command that resumes a run, to be copied from its failure block. It works from any directory, and has no secrets:
    # these have to be given again.
    class ResumeCommand
      # @param file [PipelineFile]
      # @param pipeline [Pipeline]
      # @param options [Hash{Symbol => Object}] the options of +flowline run+ that are not recorded
      # @param params [Hash{String => String}] as they were given
      # @param root [String] the store
      def initialize(file, pipeline, options:, params:, root:)
        @file = file
        @pipeline = pipeline
        @options = options
        @params = params
        @root = root
      end

      # @param run_id [String, nil] nil: the latest run that can be resumed
      # @return [String]
      def call(run_id = nil)
        ["flowline resume", Shellwords.escape(File.expand_path(@file.path)), *run_id, *options, *secrets].join(" ")
      end

      private

      def options
        required = @options[:require]&.map { |name| File.file?(name) ? File.expand_path(name) : name }
        given = { **@options, require: required, root: File.expand_path(@root) }.compact
        given.flat_map { |option, values| Array(values).map { |value| "#{flag(option)} #{Shellwords.escape(value.to_s)}" } }
      end

      def flag(option)
        "--#{option.to_s.tr("_", "-")}"
      end

      # Returns the options for secret params, which are not recorded and have to be given again.
      def secrets
        @pipeline.params.values.select { |param| param.secret? && @params.key?(param.name.name) }.map { |param| "--param #{param.name}=…" }
      end
    end
  end
end
