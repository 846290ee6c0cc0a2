# frozen_string_literal: true

module Flowline
  # An event of a run. Every observer receives {ALWAYS}: +run_started+, then +step_started+, +step_retried+ for each retry, and
  # +step_finished+ for each step (a step that is not called has only +step_finished+), then +run_finished+. Observers that ask for
  # {DETAILS} (see {Reporter.for}) receive them in between. An event is plain data: it can be marshalled, and {#to_h} is what it
  # says as a Hash with the same keys every time.
  #
  # {#result} is:
  #
  # - +run_started+: a {Resumption}, or nil
  # - +step_finished+: a {StepResult}; +run_finished+: a {Result}
  # - +step_retried+: a {Retry}
  # - +attempt_started+ and +attempt_finished+: an {Attempt}; every attempt that started finishes before its step does
  # - +step_waiting+: a {Wait}; the step could run, and waits for something other than its dependencies
  # - +items_progress+: {ItemCounts}, at most five times a second for a step
  # - +cache+: a {Lookup}
  # - +log+: a {Line}
  # - +run_cancelling+: a {Cancelling}
  class Event
    # The events that every observer receives.
    ALWAYS = %i[run_started step_started step_retried step_finished run_finished].freeze
    # The events for observers that ask for them. They cost nothing if nobody does.
    DETAILS = %i[attempt_started attempt_finished step_waiting items_progress cache log run_cancelling].freeze
    # All events.
    NAMES = (ALWAYS + DETAILS).freeze

    # A failed attempt that will be retried: its error, its number, the seconds until the next attempt, and the index and the
    # label of its item, if any.
    Retry = Struct.new(:error, :attempt, :wait, :item, :label)

    # A call of a step: its number from 1, the index and the label of its item, if any, and the Time at which it was called.
    # Once it has finished also +status+ (+:succeeded :failed :timed_out :cancelled+), +duration+ in seconds, the +error+, and
    # +wait+, the seconds until the next attempt if there is one.
    Attempt = Struct.new(:attempt, :item, :label, :started_at, :status, :duration, :error, :wait)

    # The wait of a step: +reason+ is +:retry+, +:pool+ (its +name+ is that of the pool), +:rate+, +:worker+ or +:lock+ (another
    # thread or process computes the same cached value). +until+ is the Time at which the wait ends, if that is known.
    Wait = Struct.new(:reason, :name, :until)

    # The answer of a cache for a step, or for an item of it: +hit+ is true or false, and +reason+ says why it had nothing.
    Lookup = Struct.new(:hit, :reason, :item, :label)

    # A line that a step has logged or printed: +stream+ is +:log+, +:out+ or +:err+, +level+ that of a logged line. The attempt
    # and the index of the item, if any.
    Line = Struct.new(:time, :stream, :level, :text, :attempt, :item)

    # The run is being cancelled: +now+ says whether running steps are interrupted, +by+ who asked for it if that is known,
    # +running+ names the steps that are in flight, and +clean_ups+ those that will run nevertheless.
    Cancelling = Struct.new(:now, :by, :running, :clean_ups)

    # @return [Symbol] one of {NAMES}
    attr_reader :name
    # @return [Integer] how many events there were so far in this run, this one included
    attr_reader :number
    # @return [Time]
    attr_reader :time
    # @return [Context] of the run
    attr_reader :context
    # @return [Array<Step>] the steps of the run
    attr_reader :steps
    # @return [Step, nil] the step it is about
    attr_reader :step
    # @return [Object, nil] what there is to say: how the step, the run or the attempt ended, and so on; see {Event}
    attr_reader :result

    # @param observer [#call]
    # @return [Array<Symbol>] the events that it receives: those of its +event_names+, if it has that method
    # @api private
    def self.wanted_by(observer)
      observer.respond_to?(:event_names) ? observer.event_names : ALWAYS
    end

    # @api private
    # @yieldreturn [Execution::Monitor, nil]
    def initialize(name, number, run, step = nil, result = nil)
      @name = name
      @number = number
      @time = Time.now
      @context, @steps = run
      @step = step
      @result = result
      @monitor = yield if block_given?
      freeze
    end

    # @return [String] unique among all runs
    def run_id
      context.run_id
    end

    # @return [Resumption, nil] of +run_started+, what the run resumes
    def resumed
      result if Resumption === result
    end

    # @return [Hash{Symbol => Object}] the event as a Hash, without outputs and secrets
    # @example
    #   event.to_h # => { event: :step_started, number: 2, time: …, run_id: "…", pipeline: "import", step: :fetch }
    def to_h
      { event: name, number: number, time: time, run_id: run_id, pipeline: context.pipeline_name, **about }
    end

    # @return [String] without what it is about, which may be anything
    def inspect
      "#<#{self.class} #{number} #{name}#{" #{Name.show(step.name)}" if step}>"
    end

    # @return [Execution::Monitor, nil] at the start of a run, in its process
    # @api private
    attr_reader :monitor

    # Dumps the event as data, with its steps without their callables.
    # @return [Array] what {#marshal_load} takes
    # @api private
    def marshal_dump
      [name, number, time, context, steps, step, Error::Portable.redact(context) { Marshal.dump(portable) }]
    end

    # @param facts [Array]
    # @return [void]
    # @api private
    def marshal_load(facts)
      @name, @number, @time, @context, @steps, @step, bytes = facts
      @result = Marshal.load(bytes) # rubocop:disable Security/MarshalLoad -- within Marshal.load
      @result.error = @result.error&.exception if Retry === @result || Attempt === @result
      freeze
    end

    private

    # @return [Object] the result as it can be marshalled
    def portable
      case result
      when Retry, Attempt then result.dup.tap { |copy| copy.error &&= Error::Portable.new(copy.error) }
      when StepResult then Error::Portable.dumps?(result.output) ? result : result.without_output
      else result
      end
    end

    def about
      case name
      when :run_started then { params: context.public_params, steps: steps.size, resumed: resumed&.to_h }
      when :step_finished then { step: step.name, **result.to_h.except(:name) }
      when :run_finished then result.to_h.except(:pipeline, :run_id)
      when :run_cancelling then facts
      else { step: step&.name, **facts }
      end
    end

    # The members of the result. The missing ones stay, so that the keys are the same every time.
    def facts
      facts = result.to_h
      facts[:error] = StepResult.describe(facts[:error], context) if facts.key?(:error)
      facts
    end
  end
end
