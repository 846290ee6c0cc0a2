# frozen_string_literal: true

require "shellwords"

module Flowline
  module CLI
    # The command that resumes a run, to be copied from its failure block.
    class ResumeCommand
      # @param file [PipelineFile]
      # @param pipeline [Pipeline]
      # @param options [Hash{Symbol => Object}] the options of +flowline run+ that are not recorded
      # @param params [Hash{String => String}] as they were given
      # @param root [String, nil] the store, if one was given: then the command works from any directory
      def initialize(file, pipeline, options:, params:, root: nil)
        @file = file
        @pipeline = pipeline
        @options = options
        @params = params
        @root = root
      end

      # @return [String]
      def to_s
        path = @root ? File.expand_path(@file.path) : @file.path
        ["flowline run #{Shellwords.escape(path)} --resume", *options, *secrets].join(" ")
      end

      private

      def options
        given = { **@options, root: (File.expand_path(@root) if @root) }.compact
        given.map { |option, value| "--#{option.to_s.tr("_", "-")} #{Shellwords.escape(value.to_s)}" }
      end

      # Returns the options for secret params, which are not recorded and have to be given again.
      def secrets
        @pipeline.params.values.select { |param| param.secret? && @params.key?(param.name.name) }.map { |param| "--param #{param.name}=…" }
      end
    end
  end
end
