# frozen_string_literal: true

module Flowline
  # A run in a thread of its own, as {Pipeline#start} returns it.
  #
  #   run = pipeline.start(date: Date.today, executor: :parallel)
  #   run.steps  # => { fetch: :succeeded, load: :running }
  #   run.cancel # finishes what runs, starts nothing more
  #   run.wait   # => #<Flowline::Result cancelled …>
  class Run
    # Asks a run to end, in whatever process it goes on: no more steps start, except those with +run_if: :always+. The process of
    # the run reads that from the store within half a second. Asking again changes nothing.
    # @param run_id [String]
    # @param now [Boolean] whether to stop running steps, too
    # @param by [String] who asks, for a warning of the run and the event +run_cancelling+
    # @param root [String] the directory of the store
    # @return [Boolean] false: there is no such run that goes on
    # @raise [StoreError]
    # @example
    #   Flowline::Run.cancel("20261124T015539-04c21255", by: "alice@web")
    def self.cancel(run_id, now: false, by: "process #{Process.pid}", root: Flowline.config.root)
      store = Store.existing(root) or return false
      run = store.history(Store::Query.new(run_id: run_id, limit: 1)).first
      return false unless run&.alive

      kind = now ? "cancel_now" : "cancel"
      requester = Text.line(Error.text(by))[0, 200]
      store.ask(Store::Request.new(run: run.id, kind: kind, subject: "", requester: requester, requested: Time.now.to_f))
      true
    end

    # @param coordinator [Execution::Coordinator]
    # @param dag [DAG]
    # @param pools [Array<Symbol>] the names of the pools
    # @param executor [#open_pool]
    # @api private
    def initialize(coordinator, dag, pools, executor)
      @coordinator = coordinator
      @dag = dag
      @pools = pools
      @thread = Thread.handle_interrupt(Executor::Section::CLOSED) { Thread.new { work(executor) } }
      @thread.name = "flowline run #{run_id}"
    end

    # @return [String] unique among all runs
    def run_id
      @coordinator.context.run_id
    end

    # @return [Symbol] +:running+, or how it ended: +:succeeded :failed :timed_out :cancelled+
    def status
      alive = @thread.alive? # First: it may end meanwhile.
      return @coordinator.result.status if @coordinator.result

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

    # Waits until the run has ended.
    # @param seconds [Numeric, nil] how long at most
    # @return [Result, nil] +nil+ if it has not ended by then
    # @raise [Exception] what {Pipeline#run} would have raised
    def wait(seconds = nil)
      return unless @thread.join(seconds)

      @failure ? raise(@failure) : @coordinator.result
    end

    # Cancels the run and returns at once. No more steps start, except those with +run_if: :always+. Running steps
    # finish and are recorded; then the run ends as +:cancelled+. A run that has ended does not change.
    # @param now [Boolean] whether to stop running steps, too. Steps with +run_if: :always+ are stopped only by a second
    #   call
    # @return [self]
    def cancel(now: false)
      now ? @coordinator.cancel_now : @coordinator.cancel
      self
    end

    # Waits for the end of a run that was stopped. If user code holds it for longer, records its end instead, because the
    # program is about to end.
    # @param seconds [Numeric] how long at most
    # @return [Boolean] whether the run has ended by itself
    # @api private
    def give_up(seconds)
      return true if @thread.join(seconds)

      Thread.new do
        Thread.current.report_on_exception = false
        @coordinator.give_up
      end.join(seconds)
      false
    rescue StandardError # Of the store. Everything else of the run is recorded.
      false
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{run_id} #{status}>"
    end

    private

    # Runs the coordinator. A SystemExit must not reach the main thread. If {#cancel} has interrupted a hook, the run has
    # ended already.
    def work(executor)
      connections = Integrations::ActiveRecordConnections # Hooks and reporters may have used some.
      connections.there? ? connections.call { @coordinator.call(executor) } : @coordinator.call(executor)
    rescue Executor::Section::Stopped
      nil
    rescue Exception => e # rubocop:disable Lint/RescueException -- wait raises it
      @failure = e
    end

    def states
      @dag.steps.each_with_index.to_h { |step, id| [step.name, @coordinator.state(id)] }
    end
  end
end
