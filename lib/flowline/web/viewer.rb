# frozen_string_literal: true

module Flowline
  class Web
    # A browser that follows a run through a connection of its own. Writing never waits: as long as the browser has not read what was
    # sent, it gets nothing further, and then at once all that has changed in between.
    # @api private
    class Viewer
      # Seconds after which something is sent, so that proxies leave the connection open; and after which it is closed, so that the
      # browser connects again, and has to be authorized again.
      HEARTBEAT = 15
      AGE = 300
      private_constant :HEARTBEAT, :AGE

      # @return [Topic]
      attr_reader :topic

      # @param io [IO]
      # @param topic [Topic]
      # @param cursor [String, nil] of what the browser has
      # @param now [Float] on the monotonic clock
      def initialize(io, topic, cursor, now)
        @io = io
        @topic = topic
        @cursor = cursor
        @born = @spoken = now
        @rest = Viewer.greeting.b
      end

      # @return [String] the first words of every stream
      def self.greeting
        "retry: 1000\nevent: hello\ndata: {}\n\n"
      end

      # @param cursor [String]
      # @param json [String]
      # @return [String] an event
      def self.event(cursor, json)
        "id: #{cursor}\ndata: #{json}\n\n"
      end

      # Sends what has changed.
      # @param now [Float] on the monotonic clock
      # @return [Boolean] false: the connection is closed
      def update(now)
        return close if gone? || !flush
        return true unless @rest.empty?

        say(now)
        return close unless flush

        @rest.empty? && (@topic.over? || now - @born > AGE) ? close : true
      end

      # @return [false]
      def close
        @io.close
        false
      rescue IOError, SystemCallError
        false
      end

      private

      def say(now)
        if (json = @topic.changes(@cursor))
          @cursor = @topic.cursor
          @rest = Viewer.event(@cursor, json).b
        elsif now - @spoken > HEARTBEAT
          @rest = ":\n\n".b
        else
          return
        end
        @spoken = now
      end

      def flush
        until @rest.empty?
          written = @io.write_nonblock(@rest, exception: false)
          return true unless written.is_a?(Integer)

          @rest = @rest.byteslice(written..)
        end
        true
      rescue IOError, SystemCallError
        false
      end

      # A browser sends nothing, and has left if its end is closed.
      def gone?
        @io.read_nonblock(1024, exception: false).nil?
      rescue IOError # A pipe to the server, which is only written.
        @io.closed?
      rescue SystemCallError
        true
      end
    end
  end
end
