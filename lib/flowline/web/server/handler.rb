# frozen_string_literal: true

module Flowline
  class Web
    module Server
      # A server with a handler for Rack, which needs the gem rackup or, before Rack 3, rack.
      # @api private
      class Handler
        # By name, the constant of the handler, and options that stop its messages.
        KNOWN = { falcon: ["Falcon", {}], webrick: ["WEBrick", { AccessLog: [] }] }.freeze
        # Seconds to wait for its end.
        PATIENCE = 5
        private_constant :KNOWN, :PATIENCE

        # @param name [Symbol]
        # @return [Class, nil] nil: it is not installed
        def self.load(name)
          constant, options = KNOWN.fetch(name)
          space = %w[Rackup Rack].find { |gem| loads?(gem.downcase, name) } or return
          handler = Object.const_get("#{space}::Handler::#{constant}")
          Class.new(self) do
            define_singleton_method(:label) { name.name }
            define_method(:initialize) { |app, port| super(handler, app, { **options, Host: HOST, Port: port }) }
          end
        end

        def self.loads?(gem, name)
          require name.name
          require gem
          require "#{gem}/handler/#{name}"
          true
        rescue LoadError
          false
        end
        private_class_method :loads?

        # @param handler [#run] of Rack
        # @param app [#call]
        # @param options [Hash{Symbol => Object}] of the handler
        def initialize(handler, app, options)
          @handler = handler
          @app = app
          options[:Logger] = ::WEBrick::Log.new($stderr, ::WEBrick::Log::ERROR) if defined?(::WEBrick::Log)
          @options = options
        end

        # Returns when it answers.
        # @return [void]
        def start
          @thread = Thread.new { @handler.run(@app, **@options) { |server| @server = server } }
          sleep(0.02) until answers? || !@thread.alive?
        end

        # @return [void]
        def stop
          @server.shutdown if @server.respond_to?(:shutdown)
          @thread.kill unless @thread.join(PATIENCE)
        end

        private

        def answers?
          TCPSocket.new(HOST, @options[:Port]).close
          true
        rescue Errno::ECONNREFUSED
          false
        end
      end
    end
  end
end
