# frozen_string_literal: true

module Flowline
  module CLI
    # The signals that stop a run: on the first, running steps finish and nothing more starts; on the second, running steps
    # are stopped, too; on the third, so are steps that run always, and the program ends even if they ignore that.
    module Signals
      # Instructions to send a signal again, by signal.
      AGAIN = { "INT" => "press Ctrl-C again", "TERM" => "send it again" }.freeze
      # Seconds from the third signal to the end of the program: more than a pool takes to abandon steps.
      PATIENCE = Executor::GRACE + 2
      # Steps that a message names.
      NAMED = 3
      private_constant :NAMED, :AGAIN, :PATIENCE

      # Starts a run and waits for it. From before it starts, these signals are handled.
      # @param err [IO]
      # @yieldreturn [Flowline::Run]
      # @return [Array(Result, String)] how it ended, and the first signal that came, if one did
      def self.wait(err)
        queue = Queue.new # A trap may not take a lock,
        turns = Recording::Turn # and may not load a file.
        first = nil
        before = AGAIN.keys.to_h { |name| [name, trap(name) { turns.waiting? ? raise(SignalException, name) : queue << name }] }
        run = yield
        watcher = Thread.new do
          first = queue.pop
          run.cancel
          say(err, "flowline: SIG#{first}: finishing running steps#{running(run)}; #{AGAIN.fetch(first)} to stop now")
          queue.pop
          run.cancel(now: true)
          say(err, "flowline: SIG#{first}: stopping running steps; #{AGAIN.fetch(first)} to end the program")
          queue.pop
          run.cancel(now: true)
          end_program(first, err) unless run.give_up(PATIENCE)
        end
        [run.wait, first]
      ensure
        before&.each { |name, handler| trap(name, handler || "DEFAULT") }
        watcher&.kill
      end

      # @return [String] the names of the first steps that run
      def self.running(run)
        names = run.steps.filter_map { |name, state| Name.show(name) if state == :running }
        return "" if names.empty?

        " (#{names.first(NAMED).join(", ")}#{" and #{names.size - NAMED} more" if names.size > NAMED})"
      end
      private_class_method :running

      # Ends the program at once, because a step ignores that it was stopped. The end of the run is recorded.
      def self.end_program(signal, err)
        Reporter::Live.current&.leave
        say(err, "flowline: stopped by SIG#{signal}, although a step did not stop")
        [$stdout, $stderr].each(&:flush)
      ensure
        exit!(128 + Signal.list.fetch(signal))
      end
      private_class_method :end_program

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
