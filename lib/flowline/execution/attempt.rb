# frozen_string_literal: true

module Flowline
  module Execution
    # One call of one step, or of one of its items.
    #
    #     conditions ── cache ── announce ── limits( middleware( callable ) ) ── retry? ── cache ──> Outcome
    #
    # It is called in whatever thread or process the pool chooses, while others are called at the same time. It reads the
    # {Environment}, and changes nothing of the run: all that it came to is its {Outcome}. So the {Dispatcher} can drop it if the
    # attempt is abandoned, and a step is the same for every executor. (The output is serialised for the record by the
    # coordinator, because whether it is recorded, and as made of what, only the run knows.)
    #
    # Middleware with +isolate: :process+ calls the rest in a forked child. The output, the report and the writes come
    # back from there as data, and nothing else does.
    #
    # {Coordinator#cancel_now} may interrupt it at any line, with {Executor::Section::Stopped}, which passes through here to the
    # pool: nothing is left half done, because nothing of it is visible yet. A time limit ends only the call itself. It must
    # never happen that a condition is asked twice, that the callable is called after the run was stopped (unless the step
    # always runs), or that +call+ returns without an outcome (unless its pool has abandoned it, and waits for none).
    class Attempt
      # @return [Integer] what no other attempt of the run has
      attr_reader :token
      # @return [Integer] the step
      # @api private
      attr_reader :id
      # @return [Integer, nil] the index of the item, of a step that is called for each
      attr_reader :index
      # @return [Object, nil] the item
      attr_reader :item
      # @return [Integer] 1 for the first attempt, 2 for the first retry
      attr_reader :number
      # @return [Float, nil] when it was called, in seconds from the start of the run
      # @api private
      attr_reader :began
      # @return [String, nil] what the item is called, if somebody wants to know
      # @api private
      attr_reader :label
      # @return [String, nil] why a cache that was asked had nothing
      # @api private
      attr_reader :missed
      # Whether the core has been notified of the start of the call.
      # @return [Boolean, nil]
      # @api private
      attr_accessor :announced
      # The output of the callable, for middleware that has called its block.
      # @return [Object, nil]
      attr_accessor :output
      # The numbers that the callable has reported ({Context#report}).
      # @return [Hash{Symbol => Numeric}, nil]
      # @api private
      attr_accessor :report
      # The values that the callable has written into the state of the pipeline, as bytes by key.
      # @return [Hash{String => String, nil}, nil]
      # @api private
      attr_accessor :writes

      # The output that is captured: +:streams+, $stdout and $stderr; +:descriptors+, also the descriptors of its own process.
      # @return [Symbol, nil]
      # @api private
      attr_accessor :capture

      # @param environment [Environment]
      # @param token [Integer]
      # @param id [Integer]
      # @param facts [Array] number, and of an item its index, itself, and its label
      # @api private
      def initialize(environment, token, id, facts)
        @environment = environment
        @token = token
        @id = id
        @number, @index, @item, @label = facts
      end

      # @return [Array<Integer>] its step
      # @api private
      def ids
        [id]
      end

      # @return [Step]
      def step
        @environment.steps[id]
      end

      # @return [Context] of the run
      def context
        @environment.context
      end

      # @param numbers [Hash{Symbol => Numeric}] what the callable reports
      # @return [void]
      # @api private
      def reported(_id, numbers)
        (@report ||= {}).merge!(numbers)
      end

      # @param key [String]
      # @param bytes [String, nil] nil: the value is deleted
      # @return [void]
      # @api private
      def wrote(_id, key, bytes)
        (@writes ||= {})[key] = bytes
      end

      # The callable reads the state of the pipeline. So its output depends on more than its inputs, even if it writes nothing.
      # @return [void]
      # @api private
      def read_state(_id)
        @writes ||= {}
        nil
      end

      # @return [Array(Integer, Integer, Integer)] the step, the number of the attempt and the index of the item, for lines of the log
      # @api private
      def source(_id = id)
        [id, number, index]
      end

      # @return [Hash{String => String, nil}, nil] see {#writes}
      # @api private
      def written(_id)
        @writes
      end

      # @return [Boolean] whether a worker has it
      # @api private
      def taken?
        @taken == true
      end

      # @return [Boolean] whether it is called even after the run was stopped
      # @api private
      def always?
        step.outlasts_stop?
      end

      # @return [Boolean] whether it is the first of its step, and asks the step's conditions
      # @api private
      def first?
        number == 1 && index.nil?
      end

      # @param pool [Executor::Pool, nil] where it is called, if that can abandon it
      # @return [Outcome, nil] nil: too late, the pool has abandoned it
      # @raise [Exception] what the user's code raises and is not a StandardError
      # @api private
      def call(pool = nil)
        @pool = pool
        @taken = true
        return outcome(:withdrawn) if stopped?
        return call_bare if @environment.bare?

        return outcome(:skipped) if first? && !@environment.conditions_hold?(id)
        return outcome(stopped? ? :withdrawn : :opened) if step.each && index.nil?

        call_or_reuse
      rescue Error::TimeUp => e
        outcome(:timed_out, limit: e.limit)
      rescue StandardError => e # Of a condition, a key, a type hint or a before_step hook.
        outcome(:failed, error: e)
      end

      # @param status [Symbol]
      # @return [Outcome]
      # @api private
      def outcome(status, output: nil, error: nil, limit: nil, wait: nil, fatal: nil)
        return Outcome.new(token, status, output, error, limit, wait, @began, @ended, fatal, @warnings) unless status == :succeeded

        Outcome.new(token, status, output, error, limit, wait, @began, @ended, fatal, @warnings, report, writes)
      end

      # @param limit [Hash] the limit that it ignores
      # @return [Outcome] of an attempt that was abandoned
      # @api private
      def abandoned(limit)
        item = "item #{index + 1} of " if index
        warning = "#{item}step #{Name.show(step.name)} did not stop when its time was up, and may still run"
        Outcome.new(token, :timed_out, nil, nil, limit, nil, @began, now, nil, [warning])
      end

      # @param outcome [Outcome] of it
      # @return [Boolean] whether no other step is to be called until the coordinator has settled it
      # @api private
      def stops_run?(outcome)
        case outcome.status
        when :failed, :timed_out then !outcome.fatal.nil? || (@environment.stops_at_failures? && !step.optional?)
        when :interrupted, :died then true
        else false
        end
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{number} of #{Name.show(step.name)}#{"[#{index}]" if index}>"
      end

      private

      def stopped?
        @environment.stopped?(self)
      end

      def call_or_reuse
        return call_callable unless @environment.caches?(id)

        caching = @environment.caching
        caching.with(id, @environment.outputs, context, item, waiting: @environment.lock_notice(self)) do |found, output, keep|
          next outcome(:cached, output: output) if found

          @missed = caching.absence(id, keep)
          call_callable(&keep)
        end
      end

      # Calls the callable. A failure of it, and of nothing around it, may be followed by another attempt.
      def call_callable
        return outcome(:withdrawn) if stopped? # While conditions were asked, or another computed the same.

        @environment.announce(self)
        return outcome(:withdrawn) if stopped? # While hooks were called.

        @environment.check_input(id) if index.nil?
        @began = now
        answer = surrounded? ? call_surrounded : answer_of_call
        @ended = now
        return unless answer

        @output, error, limit = answer
        return unsuccessful(error, limit) if error || limit

        @environment.check_output(id, output) if index.nil?
        yield output if block_given? && storable?
        outcome(:succeeded, output: output)
      end

      # Returns whether the output can be cached. A step that uses the state has to be called every time.
      def storable?
        return true unless writes

        why = writes.empty? ? "reads ctx.state, which is no part of its key" : "writes into ctx.state, and has to do so each time"
        (@warnings ||= []) << "the output of step #{Name.show(step.name)} is not cached: the step #{why}"
        false
      end

      # Whether there is a time limit, or middleware.
      def surrounded?
        @environment.surrounds? || step.options.key?(:timeout)
      end

      def call_surrounded
        @environment.limits.call(self, @pool) { @environment.middleware.call(self) { call_now } }
      end

      def answer_of_call
        [call_now, nil]
      rescue StandardError => e
        [nil, e]
      end

      def call_now
        context = self.context
        context = context.lend(self, id) if @environment.contextual&.key?(id)
        @environment.calls[id].call(@environment.outputs, context, item)
      end

      def unsuccessful(error, limit)
        error ||= TimeoutError.new(step.name, **limit, attempts: number)
        wait = @environment.limits.ask { Execution::Retry.wait(step, error, number, @warnings ||= []) } unless limit && limit[:scope] != :step
        return outcome(:retry, error: error, limit: limit, wait: wait) if wait && @environment.limits.time_for?(step, wait)

        outcome(limit ? :timed_out : :failed, error: error, limit: limit)
      end

      # Nothing surrounds the call.
      def call_bare
        @began = now
        @output = call_now
        @ended = now
        outcome(:succeeded, output: output)
      rescue StandardError => e
        @ended = now
        outcome(:failed, error: e)
      end

      def now
        @environment.run.elapsed
      end
    end
  end
end
