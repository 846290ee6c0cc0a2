# frozen_string_literal: true

module Flowline
  # A run in a thread of its own: what {Pipeline#start} returns.
  #
  #   run = pipeline.start(date: Date.today, executor: :parallel)
  #   run.steps  # => { fetch: :succeeded, load: :running }
  #   run.cancel # finishes what runs, starts nothing more
  #   run.wait   # => #<Flowline::Result cancelled …>
  class Run
    # A request to stop that is made again: even while the run cleans up.
    class StoppedAgain < Exception # rubocop:disable Lint/InheritException -- no step may rescue it
    end

    MASKED = { Interruption::Stopped => :never, StoppedAgain => :never }.freeze
    OPEN = MASKED.transform_values { :immediate }.freeze
    private_constant :StoppedAgain, :MASKED, :OPEN

    # @param runner [Runner]
    # @param dag [DAG]
    # @param pools [Array<Symbol>] the names of the pools
    # @param executor [#execute]
    # @api private
    def initialize(runner, dag, pools, executor)
      @runner = runner
      @dag = dag
      @pools = pools
      @executor = executor
      @thread = Thread.handle_interrupt(MASKED) { Thread.new { work } } # It inherits that.
      @thread.name = "flowline run #{run_id}"
    end

    # @return [String] unique among all runs
    def run_id
      @runner.context.run_id
    end

    # @return [Symbol] +:running+, or how it ended: +:succeeded :failed :timed_out :cancelled+
    def status
      alive = @thread.alive? # First: it may end meanwhile.
      return @runner.result.status if @runner.result

      alive ? :running : :failed
    end

    # @return [Hash{Symbol => Symbol}] where each step stands: +:pending :ready :running :waiting+, or how it ended
    def steps
      states.transform_values(&:first)
    end

    # @return [Hash{Symbol => String}] what the waiting steps wait for: +"pool db"+, +"rate"+ or +"retry"+
    def waits
      states.select { |_, (state, _)| state == :waiting }.transform_values { |_, what| what.is_a?(Integer) ? "pool #{@pools[what]}" : what.to_s }
    end

    # Waits for its end.
    # @param seconds [Numeric, nil] how long at most
    # @return [Result, nil] +nil+ if it has not ended by then
    # @raise [Exception] what {Pipeline#run} would have raised
    def wait(seconds = nil)
      return unless @thread.join(seconds)

      @failure ? raise(@failure) : @runner.result
    end

    # Starts nothing more, steps that run always excepted. What runs is finished, and recorded; then the run ends as
    # +:cancelled+. It returns at once. A run that has ended stays as it is.
    # @param now [Boolean] whether to stop what runs, too, in the middle: but steps that run always only if asked again
    # @return [self]
    def cancel(now: false)
      @runner.cancel
      return self unless now && @thread.alive?

      @stopped ? @thread.raise(StoppedAgain) : Interruption.stop(@thread)
      @stopped = true
      self
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{run_id} #{status}>"
    end

    # Calls the executor. If that performs the steps in this thread, the run may be stopped only in those.
    # @param runner [Runner]
    # @api private
    def execute(runner)
      return Interruption.worker { @executor.execute(runner) } if one_thread?

      Thread.handle_interrupt(OPEN) { @executor.execute(runner) }
    end

    # @return [#call, nil] where callables are called, if in this thread: it may be stopped there
    # @api private
    def here
      ->(callable) { Interruption.anytime { callable.call } } if one_thread?
    end

    # @return [Integer] how many steps run at a time
    # @api private
    def workers
      @executor.respond_to?(:workers) ? @executor.workers : 1
    end

    # @return [Boolean] whether all is done in one thread
    # @api private
    def one_thread?
      @executor.respond_to?(:one_thread?) && @executor.one_thread?
    end

    private

    # SystemExit would go on to the main thread.
    def work
      @runner.call(self)
    rescue Interruption::Stopped, StoppedAgain
      nil
    rescue Exception => e # rubocop:disable Lint/RescueException -- whoever waits gets it
      @failure = e
    end

    def states
      @dag.steps.each_with_index.to_h { |step, id| [step.name, @runner.state(id)] }
    end
  end
end
