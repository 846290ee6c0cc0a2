# frozen_string_literal: true

module Flowline
  module Job
    # The words of a job class.
    module ClassMethods
      # Declares the pipeline that the job runs, and how. Without arguments it returns the pipeline. With options alone, the +perform+
      # of the class says which pipeline it runs.
      # @param source [Class, Pipeline, String, Symbol, nil] a pipeline class or the name of a constant, which is looked up for each
      #   run, so that reloaded code takes effect; or a pipeline
      # @param options [Hash] options of {Pipeline#run}, and these:
      # @option options [Symbol] :on_locked (:retry) what becomes of the job if a run that excludes it is alive: +:retry+ it
      #   later, +:discard+ it, or +:raise+ the {LockedError}
      # @option options [Numeric] :locked_wait (30) seconds until that retry
      # @option options [Symbol] :on_failure (:raise) whether a failed run raises its error, so that the queue retries the job; or
      #   +:discard+, so that it does not
      # @option options [Boolean, Symbol] :exclusive (:params) as for {Pipeline#run}; +false+: runs with the same params may overlap
      # @option options [Symbol, #call, Array] :reporter (the logger of the job) as for {Pipeline#run}
      # @yieldreturn [Pipeline, Class] the pipeline; the block is called for each run
      # @return [Pipeline, nil] the pipeline, if no argument was given
      # @raise [DefinitionError] lists every mistake in the options; no pipeline is declared
      # @raise [NameError] there is no such constant
      # @example
      #   pipeline Import, executor: :parallel, on_locked: :discard
      #   pipeline { Import.for(Tenant.current) }
      def pipeline(source = nil, **options, &block)
        source ||= block
        return flowline_settings.pipeline if source.nil? && options.empty?

        @flowline_settings = Settings.new(self, source, options)
        nil
      end

      # @return [Settings]
      # @api private
      def flowline_settings
        return @flowline_settings if @flowline_settings
        return superclass.flowline_settings if superclass.respond_to?(:flowline_settings)

        Settings.new(self, nil, {})
      end
    end
  end
end
