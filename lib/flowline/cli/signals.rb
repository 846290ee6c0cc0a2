# frozen_string_literal: true

module Flowline
  module CLI
    # The signals that stop a run: on the first, running steps finish and nothing more starts; on the second, running steps
    # are stopped, too; on the third, so are steps that run always.
    module Signals
      # Instructions to send a signal again, by signal.
      AGAIN = { "INT" => "press Ctrl-C again", "TERM" => "send it again" }.freeze
      private_constant :AGAIN

      # Starts a run and waits for it. From before it starts, these signals are handled.
      # @param err [IO]
      # @yieldreturn [Flowline::Run]
      # @return [Array(Result, String)] how it ended, and the first signal that came, if one did
      def self.wait(err)
        queue = Queue.new # A trap may not take a lock.
        first = nil
        before = AGAIN.keys.to_h { |name| [name, trap(name) { Recording::Turn.waiting? ? raise(SignalException, name) : queue << name }] }
        run = yield
        watcher = Thread.new do
          first = queue.pop
          run.cancel
          say(err, "flowline: SIG#{first}: finishing running steps; #{AGAIN.fetch(first)} to stop now")
          run.cancel(now: true) while queue.pop
        end
        [run.wait, first]
      ensure
        before&.each { |name, handler| trap(name, handler || "DEFAULT") }
        watcher&.kill
      end

      # Writes a line, although the reader may be gone.
      # @return [void]
      def self.say(err, text)
        err.puts(text)
      rescue IOError, SystemCallError
        nil
      end
    end
  end
end
