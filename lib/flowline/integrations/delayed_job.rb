# frozen_string_literal: true

module Flowline
  module Integrations
    # Knows the worker of delayed_job in this process, and whether it is about to end.
    # @api private
    module DelayedJob
      class << self
        # @return [Boolean] whether delayed_job is loaded
        def there?
          defined?(::Delayed::Worker) ? true : false
        end

        # Learns of the worker. It has to be called before that starts to work: a job class does so when it is loaded, a Rails
        # application when it starts.
        # @return [void]
        def install
          return if @plugin

          @plugin = Class.new(::Delayed::Plugin) do
            callbacks { |lifecycle| lifecycle.before(:perform) { |worker, *| DelayedJob.worker = worker } }
          end
          ::Delayed::Worker.plugins << @plugin
          @plugin.new # For a worker that has started already.
        end

        # @return [Delayed::Worker, nil] the one that performs a job
        attr_writer :worker

        # @return [Boolean] whether the worker ends after its job
        def stopping?
          @worker&.stop? ? true : false
        end
      end
    end
  end
end
