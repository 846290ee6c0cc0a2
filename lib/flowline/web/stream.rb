# frozen_string_literal: true

module Flowline
  class Web
    # The answers to a page that follows a run: a stream of events, or the changes since a moment.
    # @api private
    class Stream
      # @param view [View]
      # @param run_id [String]
      def initialize(view, run_id)
        @view = view
        @topic = view.topic(run_id)
        raise Refusal.new(404, "There is no run #{run_id} any more.") unless @topic.snapshot
      end

      # Returns the changes since the moment that +after+ names, for browsers that ask again and again.
      # @return [Response]
      def json
        Response.json(@topic.changes(cursor) || "{}")
      end

      # Returns a stream of events. Where the server does not hand over its connection, the events so far are sent, and the browser
      # asks again, by itself, after a second.
      # @return [Response]
      # @raise [Refusal] there are too many viewers
      def events
        return Response.nothing if @topic.over? && cursor == @topic.cursor
        raise Refusal.new(503, "So many pages follow runs already that this one is not updated in this way.") unless @view.feed.room?

        @view.request.env["rack.hijack?"] ? Response.stream([], "rack.hijack" => method(:hand_over)) : Response.stream([so_far])
      end

      private

      def cursor
        @view.request.header("Last-Event-ID") || @view.request.query["after"]
      end

      def so_far
        changes = @topic.changes(cursor)
        "#{Viewer.greeting}#{Viewer.event(@topic.cursor, changes) if changes}"
      end

      # Streams that only look like a connection belong to the thread or the fiber of the request.
      def hand_over(io)
        return @view.feed.add(io, @topic, cursor) if io.is_a?(::IO) || io.respond_to?(:to_io)

        io.write(so_far)
        io.close
      end
    end
  end
end
