# frozen_string_literal: true

module Flowline
  module Integrations
    # The middleware that calls attempts within Rails' executor, which Rails requires in threads that it has not started.
    #
    # Entering the executor takes a lock, shared by all threads that run code of the application, before code is reloaded. A thread
    # that is in the executor and waits for another one to enter it waits forever, once a third one wants to reload. Therefore
    # the workers of a request do not enter the executor themselves: no code is reloaded before the request, which waits for them, has
    # ended.
    # @see https://guides.rubyonrails.org/threading_and_code_execution.html
    # @api private
    module RailsExecutor
      # The middleware of threads whose starter is within the executor, and waits for them.
      module Within
        # @return [Object] what the block returns
        def self.call(_attempt = nil)
          yield
        ensure
          ::ActiveSupport::CurrentAttributes.clear_all
        end
      end
      private_constant :Within

      # @return [#call, nil] the middleware for threads that the current thread starts and waits for; nil: there is no Rails application
      def self.entry
        return unless defined?(::Rails) && ::Rails.respond_to?(:application) && ::Rails.application

        ::Rails.application.executor.active? ? Within : self
      end

      # Calls the block within the executor. An exception passes around it: Rails would report each failed attempt to the error tracker,
      # also one that is retried, and the interruption of a step.
      # @return [Object] what the block returns
      def self.call(_attempt = nil)
        error = nil
        returned = ::Rails.application.executor.wrap do
          yield
        rescue Exception => e # rubocop:disable Lint/RescueException -- it is raised again
          error = e
        end
        error ? raise(error) : returned
      end
    end
  end
end
