# frozen_string_literal: true

module Flowline
  module Recording
    # A run that goes on, as other processes see it: it writes where the run stands into the store, if that has changed, and
    # passes requests on to the run. The {Ticker} calls it. A store that fails meanwhile does not harm the run.
    # @api private
    class Broadcast
      # Seconds to wait for other processes: what cannot be written now is written the next time.
      PATIENCE = 0.2
      # The method of the coordinator for each request.
      REQUESTS = { "cancel" => :cancel, "cancel_now" => :cancel_now }.freeze
      private_constant :PATIENCE, :REQUESTS

      # @param store [Store::SQLite]
      # @param run [Integer] its number
      # @param standing [#to_json]
      # @param coordinator [#cancel, #cancel_now]
      # @param lines [Lines] the log
      # @param warn [#call] gets a sentence
      def initialize(store, run, standing, coordinator, lines, &warn)
        @store = store
        @run = run
        @standing = standing
        @coordinator = coordinator
        @lines = lines
        @warn = warn
        @lock = Mutex.new
        @granted = []
      end

      # @return [void]
      def tick
        requests = @lock.synchronize { show unless @over }
        requests&.each { |request| grant(request) }
      end

      # Records the end of the run, with the lines of its log that are not in the store yet; if there is no room for them, without, and
      # with a warning.
      # @yieldparam rows [Array<Array>] as for {Store::SQLite::Live#log}
      # @return [void]
      # @raise [StoreError]
      def end_run
        close
        @lines.store do |rows|
          yield rows
        rescue StoreError => e
          raise if rows.empty?

          why = e.kind == :full ? "the disk is full" : e.what
          @warn.call("#{rows.sum { |row| row[2] }} lines of the log of the run are not recorded: #{why}; everything else is")
          yield []
        end
      end

      # Shows nothing from now on.
      # @return [void]
      def close
        @lock.synchronize { @over = true }
        Ticker.remove(self)
      end

      private

      # @return [Array<Store::Request>, nil] what was asked of the run so far
      def show
        body = @standing.to_json
        requests = @lines.store { |rows| rows.empty? && body == @body ? ask : @store.show(@run, Time.now.to_f, body, rows, patience: PATIENCE) }
        @body = body
        requests
      rescue StoreError => e
        complain(e.kind == :full ? "the disk is full" : e.what) unless e.kind == :busy
      rescue StandardError => e
        complain(Error.account(e))
      end

      def ask
        @store.requests(@run, patience: PATIENCE)
      end

      def complain(what)
        @warn.call("other processes cannot see how the run goes on: #{what}") unless @complained
        @complained = true
        nil
      end

      # The run is asked once for each kind of request.
      def grant(request)
        method = REQUESTS[request.kind]
        return if method.nil? || @granted.include?(method)

        @granted << method
        @coordinator.public_send(method, request.requester)
      end
    end
  end
end
