# frozen_string_literal: true

module Flowline
  class Web
    # Decides which requests are answered. It has neither session nor cookie nor secret: +authorize:+ knows who asks, and the browser
    # says where a form came from.
    #
    # - Without +authorize:+ nothing is answered, also not a request of the same machine, because a proxy there sends those of others.
    # - Changes are POSTs with <tt>Sec-Fetch-Site: same-origin</tt>. Browsers leave that header out for plain http on a named host;
    #   then +Origin+ has to be the host, or one of +origins:+.
    # - With +hosts:+ no other name of the host is answered, so that a name that an attacker has bound to this address (DNS rebinding)
    #   is of no use.
    # @api private
    class Entrance
      # The person who asks: what they may do, and their name.
      Visitor = Struct.new(:level, :name)
      LEVELS = %i[read act].freeze
      CLOSED = "Nothing is shown, because nothing says who may see it. " \
               "Set authorize: Flowline::Web.new(authorize: ->(env) { :read }), where :read shows runs, :act also cancels and starts them, " \
               "and nil refuses the request."
      PROXY = "If a proxy changes the host, set origins: to what the browser shows, as in origins: [\"https://ops.example.com\"]."
      private_constant :LEVELS, :CLOSED, :PROXY

      # @param authorize [#call, nil]
      # @param origins [Array<String>]
      # @param hosts [Array<String>, nil]
      def initialize(authorize:, origins:, hosts:)
        raise ArgumentError, "authorize: must be callable, not #{authorize.inspect}" unless authorize.nil? || authorize.respond_to?(:call)

        @authorize = authorize
        @origins = origins.map { |origin| origin.to_s.downcase.delete_suffix("/") }
        @hosts = hosts&.map(&:downcase)
      end

      # @param request [Request]
      # @return [Visitor]
      # @raise [Refusal]
      def admit(request)
        check_host(request)
        visitor = visitor(request)
        check_change(request, visitor) if request.verb != "GET"
        visitor
      end

      private

      def check_host(request)
        name = request.host.downcase.sub(/:\d*\z/, "")
        return if @hosts.nil? || @hosts.include?(name)

        raise Refusal.new(403, "This page is not available as #{name}. Set hosts: to the names that it has.")
      end

      def visitor(request)
        raise Refusal.new(403, CLOSED) unless @authorize

        answer = @authorize.call(request.env)
        level, name = answer
        raise Refusal.new(403, "You may not see this page.") unless level
        unless LEVELS.include?(level)
          raise Refusal.new(403, "authorize: returned an object of #{level.class}. It has to return :read, :act, [:act, \"name\"] or nil.")
        end

        Visitor.new(level, name&.to_s)
      end

      def check_change(request, visitor)
        check_origin(request)
        raise Refusal.new(403, "You may look and not change anything: authorize: returned :read, and :act is needed.") if visitor.level != :act
      end

      def check_origin(request)
        site = request.header("Sec-Fetch-Site")
        origin = request.header("Origin")
        return if site ? site == "same-origin" : same?(origin, request)

        came = site ? "with Sec-Fetch-Site: #{site}" : "from #{origin || "an unknown origin"}, to #{request.host}"
        advice = site ? "Open the page and press its button." : PROXY
        raise Refusal.new(403, "A form was sent #{came}. Forms are accepted only from this page itself. #{advice}")
      end

      def same?(origin, request)
        return false if origin.nil? || request.host.empty?

        origin = origin.downcase
        return true if @origins.include?(origin)

        scheme, host = origin.split("://", 2)
        secure = request.env["rack.url_scheme"] == "https"
        %w[http https].include?(scheme) && !(secure && scheme == "http") && short(host.to_s, scheme) == short(request.host.downcase, scheme)
      end

      # Browsers leave out the usual port of a scheme.
      def short(host, scheme)
        host.delete_suffix(scheme == "https" ? ":443" : ":80")
      end
    end
  end
end
