# frozen_string_literal: true

module Flowline
  module CLI
    # What Ctrl-C and SIGTERM do to a run: once it finishes what runs, and stops; twice it stops now.
    module Signals
      NAMES = %w[INT TERM].freeze
      private_constant :NAMES

      # Waits for a run, with these signals.
      # @param run [Flowline::Run]
      # @param err [IO]
      # @return [Array(Result, String)] how it ended, and the first signal that came, if one did
      def self.wait(run, err)
        queue = Queue.new # A trap may not take a lock.
        first = nil
        before = NAMES.to_h { |name| [name, trap(name) { queue << name }] }
        watcher = Thread.new do
          first = queue.pop
          run.cancel
          say(err, "flowline: SIG#{first}: finishing what runs; once more to stop now")
          run.cancel(now: true) while queue.pop
        end
        [run.wait, first]
      ensure
        before&.each { |name, handler| trap(name, handler || "DEFAULT") }
        watcher&.kill
      end

      # Whoever reads it may have gone.
      # @return [void]
      def self.say(err, text)
        err.puts(text)
      rescue IOError, SystemCallError
        nil
      end
    end
  end
end
