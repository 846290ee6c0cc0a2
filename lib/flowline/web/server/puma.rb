# frozen_string_literal: true

module Flowline
  class Web
    module Server
      # Puma in this process.
      # @api private
      class Puma
        THREADS = 5
        private_constant :THREADS

        # @return [Class, nil] nil: it is not installed
        def self.load
          require "puma"
          require "puma/server"
          self
        rescue LoadError
          nil
        end

        # @return [String]
        def self.label
          "puma #{::Puma::Const::PUMA_VERSION}"
        end

        # @param app [#call]
        # @param port [Integer]
        def initialize(app, port)
          events = defined?(::Puma::LogWriter) ? ::Puma::Events.new : ::Puma::Events.stdio
          @server = ::Puma::Server.new(app, events, { min_threads: 0, max_threads: THREADS })
          @port = port
        end

        # @return [void]
        def start
          @server.add_tcp_listener(HOST, @port)
          @server.run
        end

        # @return [void]
        def stop
          @server.stop(true)
        end
      end
    end
  end
end
