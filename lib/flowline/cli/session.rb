# frozen_string_literal: true

module Flowline
  module CLI
    # A run that a person started and watches: signals stop it in good order, and it ends with an exit status.
    class Session
      # @param err [IO] for progress and messages
      # @param label [String] what lines of its own begin with
      # @param trigger [String] the kind of caller, see {Recording::Trigger}
      # @param resume [#call, nil] returns the command that resumes the run
      def initialize(err, label: "flowline", trigger: "cli", resume: nil)
        @err = err
        @label = label
        @trigger = trigger
        @resume = resume
      end

      # Runs a pipeline to its end.
      # @param pipeline [Pipeline]
      # @param options [Hash] as for {Pipeline#run}
      # @param reporters [Array<#call>]
      # @return [Integer] the exit status: 0 success, 1 a step failed or the store cannot be used, 130 or 143 interrupted
      # @raise [Error] as {Pipeline#run}, before anything runs
      def call(pipeline, options, reporters)
        $stdout.sync = true # Output of steps appears between our own lines, wherever it goes.
        run = nil
        progress = Progress.new
        exit_status(*wait { run = start(pipeline, [progress, *reporters], options) })
      rescue SystemExit => e
        run&.status == :succeeded ? e.status : 1 # A step or a hook called exit.
      rescue ScriptError, SystemStackError, NoMemoryError
        1 # It has been reported as the failure of its step.
      rescue StoreError => e
        say(progress.account(e, @resume&.call))
        1
      rescue Error, SignalException, SystemCallError, IOError
        raise # The caller has a line and an exit status for each.
      rescue Exception => e # rubocop:disable Lint/RescueException -- Ruby would print it, with the secrets in its message
        say("the run was ended by #{progress.words(e)}")
        1
      end

      # Writes a line of its own, although the reader may be gone.
      # @param text [String]
      # @return [void]
      def say(text)
        Signals.say(@err, "#{@label}: #{Text.plain(text)}")
      end

      private

      def start(pipeline, reporters, options)
        Recording::Trigger.with(@trigger, since: CLI.since) { pipeline.start(reporter: reporters, **options) }
      end

      # Signals are handled for a run of the main thread. Other threads may have runs at the same time.
      def wait(&block)
        Thread.current.equal?(Thread.main) ? Signals.wait(@err, &block) : [block.call.wait, nil]
      end

      # @param signal [String, nil] the one that stopped the run
      def exit_status(result, signal)
        return result.success? ? 0 : 1 if signal.nil? || result.success?

        say("stopped by SIG#{signal}")
        128 + Signal.list.fetch(signal)
      end
    end
  end
end
