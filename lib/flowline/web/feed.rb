# frozen_string_literal: true

module Flowline
  class Web
    # Sends to all viewers what changes in the runs that they follow, with one thread. It is there while there are viewers.
    #
    # Servers hand over the connection (partial hijacking), so that a viewer occupies none of their threads. Only the feed's thread
    # writes to it from then on.
    # @api private
    class Feed
      # Seconds for which a run is remembered that nobody follows.
      IDLE = 30
      private_constant :IDLE

      # @param limit [Integer] how many viewers there may be
      def initialize(limit)
        @limit = limit
        @guard = Mutex.new
        forget
      end

      # @param run_id [String]
      # @param address [String] of the page of the run
      # @param records [Records]
      # @return [Topic] with a snapshot of now
      # @raise [StoreError]
      def topic(run_id, address, records)
        topic = @guard.synchronize do
          forget unless @pid == Process.pid
          @topics.delete_if { |_, known| known.used && Clock.now - known.used > IDLE }
          @topics[[run_id, address, records.root]] ||= Topic.new(records, run_id, address)
        end
        topic.refresh
      end

      # @return [Boolean] whether there may be another viewer
      def room?
        @guard.synchronize { @pid != Process.pid || @viewers.size < @limit }
      end

      # @param io [IO] the connection, which is the feed's from now on
      # @param topic [Topic]
      # @param cursor [String, nil] of what the viewer has
      # @return [void]
      def add(io, topic, cursor)
        viewer = Viewer.new(io, topic, cursor, Clock.now)
        @guard.synchronize do
          forget unless @pid == Process.pid
          return viewer.close if @viewers.size >= @limit

          @viewers << viewer
          @thread = start unless @thread&.alive?
        end
        @thread.wakeup # The first event is sent at once.
      rescue ThreadError # There is no thread to be had, or it has just ended.
        nil
      end

      # Closes all connections.
      # @return [void]
      def close
        @guard.synchronize do
          @viewers.each(&:close)
          @viewers = []
        end
      end

      # @return [Integer] how many viewers there are
      def size
        @guard.synchronize { @viewers.size }
      end

      private

      # The connections and the thread of a parent that has forked are not those of this process.
      def forget
        @pid = Process.pid
        @topics = {}
        @viewers = []
        @thread = nil
      end

      def start
        Thread.new { work }.tap do |thread|
          thread.name = "flowline web"
          thread.report_on_exception = false
        end
      end

      def work
        until (viewers = current).empty?
          started = Clock.now
          viewers.group_by(&:topic).each { |topic, group| serve(topic, group) }
          rest = Topic::EVERY - (Clock.now - started)
          sleep(rest) if rest.positive?
        end
      end

      # @return [Array<Viewer>] none: the thread ends
      def current
        @guard.synchronize do
          @thread = nil if @viewers.empty?
          @viewers.dup
        end
      end

      def serve(topic, viewers)
        look(topic)
        drop(viewers.reject { |viewer| viewer.update(Clock.now) })
      rescue StandardError # A run that cannot be shown must not end the thread. The browsers ask again, and get the error as an answer.
        drop(viewers.each(&:close))
      end

      # A store that cannot be read now may be readable the next time.
      def look(topic)
        topic.refresh
      rescue StoreError
        nil
      end

      def drop(viewers)
        @guard.synchronize { @viewers -= viewers } if viewers.any?
      end
    end
  end
end
