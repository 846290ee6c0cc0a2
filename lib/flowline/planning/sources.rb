# frozen_string_literal: true

module Flowline
  module Planning
    # The files of the application that changed since a run: outputs that were recorded then may be stale, because the code
    # that a step calls is not a part of its fingerprint. Compares the times of the files that are loaded with the start of that
    # run, so that nothing has to be recorded. Files in which steps are defined are left out: a changed step runs again.
    # @api private
    class Sources
      # A directory with one of these is that of an application.
      SIGNS = %w[Gemfile .git config/application.rb].freeze
      # Files that a message names.
      NAMED = 3
      private_constant :SIGNS, :NAMED

      # @param pipeline [Pipeline]
      def initialize(pipeline)
        @own = pipeline.steps.map(&:file).uniq.compact.map { |file| File.expand_path(file) }
      end

      # @param run [Store::Run] whose outputs are restored
      # @return [String, nil] a warning; nil: no file changed
      def warning(run)
        files = changed(run.started_at)
        return if files.empty?

        shown = files.first(NAMED).map { |file| Text.line(file.delete_prefix("#{Dir.pwd}/")) }.join(", ")
        shown += " and #{files.size - NAMED} more" if files.size > NAMED
        "restored steps may be stale: #{shown} changed since run #{run.run_id}; from: runs a step and everything downstream again"
      end

      # @param time [Time]
      # @return [Array<String>] the files that were changed after that
      def changed(time)
        return [] if roots.empty?

        $LOADED_FEATURES.select { |file| application?(file) && modified(file)&.>(time) }.sort
      end

      private

      def application?(file)
        file.end_with?(".rb") && file.start_with?(*roots) && !file.start_with?(*libraries) && !@own.include?(file)
      end

      def roots
        @roots ||= @own.map { |file| "#{root(File.dirname(file))}/" }.uniq - ["//"]
      end

      # @return [String] the application's directory, or that of the file
      def root(directory, above = directory)
        return above if SIGNS.any? { |sign| File.exist?(File.join(above, sign)) }

        parent = File.dirname(above)
        parent == above ? directory : root(directory, parent)
      end

      # Gems may be within the application's directory.
      def libraries
        @libraries ||= [File.expand_path("..", __dir__), *(Gem.path if defined?(Gem))]
      end

      def modified(file)
        File.mtime(file)
      rescue SystemCallError
        nil
      end
    end
  end
end
