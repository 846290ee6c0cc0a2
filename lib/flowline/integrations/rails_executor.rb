# frozen_string_literal: true

module Flowline
  module Integrations
    # The middleware that calls attempts within Rails' executor, which Rails requires in threads that it has not started.
    # @see https://guides.rubyonrails.org/threading_and_code_execution.html
    # @api private
    module RailsExecutor
      # @return [Boolean] whether there is a Rails application
      def self.there?
        return false unless defined?(::Rails) && ::Rails.respond_to?(:application)

        !::Rails.application.nil?
      end

      # @return [Object] what the block returns
      def self.call(_attempt = nil, &block)
        ::Rails.application.executor.wrap(&block)
      end
    end
  end
end
