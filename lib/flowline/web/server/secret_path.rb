# frozen_string_literal: true

require "digest"
require "securerandom"

module Flowline
  class Web
    module Server
      # Mounts an application under a random path, so that only those reach it who have been given the address. The other users of
      # this machine, and web sites in a browser, cannot guess it.
      # @api private
      class SecretPath
        # @return [String] the part of the path that is secret
        attr_reader :token

        # @param app [#call]
        def initialize(app)
          @app = app
          @token = SecureRandom.urlsafe_base64(24)
        end

        # @param env [Hash{String => Object}] of Rack
        # @return [Array(Integer, Hash, #each)]
        def call(env)
          _, token, rest = env["PATH_INFO"].to_s.split("/", 3)
          return refused(env) unless same?(token.to_s)

          @app.call(env.merge("SCRIPT_NAME" => "#{env["SCRIPT_NAME"]}/#{@token}", "PATH_INFO" => rest ? "/#{rest}" : ""))
        end

        private

        # Compares digests, so that the time it takes says nothing about the token.
        def same?(given)
          Digest::SHA256.digest(given) == Digest::SHA256.digest(@token)
        end

        def refused(env)
          refusal = Refusal.new(403, "Open the address that flowline web has printed. It has a secret part, which is new each time.")
          Response.refusal(refusal).to_rack(Request.new(env))
        end
      end
    end
  end
end
