# frozen_string_literal: true

require "socket"

module Flowline
  class Web
    # A server on this machine alone, for +flowline web+: Puma, Falcon or WEBrick, whichever is installed.
    # @api private
    module Server
      autoload :Handler, "#{__dir__}/server/handler"
      autoload :Puma, "#{__dir__}/server/puma"
      autoload :SecretPath, "#{__dir__}/server/secret_path"

      # The servers that can be used, in the order in which they are looked for.
      NAMES = %i[puma falcon webrick].freeze
      # The address at which it listens.
      HOST = "127.0.0.1"
      # The names of this machine, by which only it is reached.
      HOSTS = [HOST, "localhost", "[::1]"].freeze

      # @param names [Array<Symbol>] of {NAMES}
      # @return [Class, nil] of the first one that is installed: it has +new(app, port)+, +start+ and +stop+
      def self.find(names = NAMES)
        names.lazy.filter_map { |name| name == :puma ? Puma.load : Handler.load(name) }.first
      end

      # @param port [Integer] 0: any that is free
      # @return [Integer] the port, which is free
      # @raise [SystemCallError] it is not
      def self.free(port)
        server = TCPServer.new(HOST, port)
        server.addr[1]
      ensure
        server&.close
      end
    end
  end
end
