# frozen_string_literal: true

# Jobs of Active Job in one process. Each example runs in a process of its own, because Active Job changes objects of Ruby.
RSpec.describe "Jobs of Active Job", executor: :in_process do
  include Processes

  before { skip "needs activejob" unless ENV["CI"] || Gem::Specification.find_all_by_name("activejob").any? }

  let(:prelude) { <<~'RUBY' }
    $VERBOSE = nil # Libraries warn.
    require "active_job"
    require "stringio"
    require "logger"

    LOG = StringIO.new
    ActiveJob::Base.logger = ActiveSupport::TaggedLogging.new(Logger.new(LOG))
    ActiveJob::Base.queue_adapter = :test
    ActiveJob::Base.queue_adapter.perform_enqueued_jobs = false
    CALLS = []
    $today = $bad = $stopping = $cancelled = $asked = nil

    class Import < Flowline::Pipeline
      param :date, type: :date, default: -> { $today }
      param :token, secret: true, default: -> { ENV["TOKEN"] }
      step(:fetch) { |ctx| CALLS << :fetch; [1, 2, ctx[:date].to_s] }
      step(:load, depends_on: :fetch) { |rows, date:| CALLS << [:load, date.to_s]; raise "bad" if $bad; rows.size }
    end

    class ImportJob < ActiveJob::Base
      include Flowline::Job
      pipeline Import
      after_perform { CALLS << :after }
    end

    def enqueued = ActiveJob::Base.queue_adapter.enqueued_jobs

    # Delivers what is in the queue, as its adapter would.
    def deliver(data = enqueued.shift) = ActiveJob::Base.execute(data.transform_keys(&:to_s))

    def error
      yield
      nil
    rescue StandardError => e
      [e.class.name, e.message]
    end

    def runs = Flowline::History.runs.reverse.map { |run| [run.status, run.job, !run.resumed.nil?] }

    # Calls the block while a run with these params is alive.
    def alive(**params)
      go = Queue.new
      begun = Queue.new
      CALLS.define_singleton_method(:<<) { |call| super(call).tap { begun << call; go.pop if call == :fetch && !go.closed? } }
      run = Import.start(**params)
      begun.pop
      CALLS.singleton_class.remove_method(:<<)
      yield
    ensure
      go << true
      run&.wait
    end
  RUBY

  # Runs code in a process with Active Job, and returns what it returns.
  def job(code)
    elsewhere { eval(prelude + code) } # rubocop:disable Security/Eval
  end

  it "runs a pipeline with the arguments as its params" do
    result, runs, calls, log = job(<<~'RUBY')
      job = ImportJob.new(date: Date.new(2024, 1, 31))
      result = job.perform_now
      [result[:load].output, runs == [[:succeeded, job.job_id, false]], CALLS, LOG.string]
    RUBY
    expect([result, runs, calls]).to eq([3, true, [:fetch, [:load, "2024-01-31"], :after]])
    expect(log).to match(/\[ImportJob\] \[\h+-\S+\] \[Flowline\] \[Import\] \[\S+\] started \(date: 2024-01-31\)$/)
      .and match(/\[Import\] \[\S+\] \[fetch\] succeeded in 0\.\d\ds, 3 records$/).and match(/\] succeeded in 0\.\d\ds: 2 succeeded$/)
  end

  it "serialises typed arguments, and runs them when the job is delivered" do
    expect(job(<<~'RUBY')).to eq([{ "_aj_serialized" => "ActiveJob::Serializers::DateSerializer", "value" => "2024-01-31" }, [:fetch, [:load, "2024-01-31"], :after]])
      ImportJob.perform_later(date: Date.new(2024, 1, 31))
      argument = enqueued.first["arguments"].first["date"]
      deliver
      [argument, CALLS]
    RUBY
  end

  it "raises the error of a failed step without frames of Flowline, and a retry resumes" do
    error, frames, calls, runs = job(<<~'RUBY')
      ImportJob.retry_on(Flowline::StepError, wait: 1)
      $bad = true
      ImportJob.perform_later(date: Date.new(2024, 1, 31))
      deliver
      again = enqueued.first
      $bad = false
      deliver
      $bad = true
      other = ImportJob.new(date: Date.new(2024, 2, 1))
      begin
        other.method(:perform).call(**other.arguments.first)
      rescue Flowline::StepError => e
        frames = e.backtrace.grep(%r{lib/flowline})
      end
      [e.message[/.*bad/], frames, CALLS, [runs.first(2).map(&:first), runs[0][1] == runs[1][1], runs[1][2]]]
    RUBY
    expect(error).to eq("step load failed: RuntimeError: bad")
    expect(frames).to be_empty
    expect(calls.first(4)).to eq([:fetch, [:load, "2024-01-31"], [:load, "2024-01-31"], :after])
    expect(runs).to eq([%i[failed succeeded], true, true])
  end

  it "lets retry_on and discard_on select by the exception that the step raised" do
    expect(job(<<~'RUBY')).to eq([nil, 1])
      class ImportJob
        retry_on RuntimeError, wait: 1
      end
      $bad = true
      [error { ImportJob.perform_now(date: Date.new(2024, 1, 31)) }, enqueued.size]
    RUBY
  end

  it "does nothing if the job is delivered again after its run has succeeded, and runs another job with the same params" do
    calls, log, runs = job(<<~'RUBY')
      ImportJob.perform_later(date: Date.new(2024, 1, 31))
      data = enqueued.shift
      2.times { deliver(data.dup) }
      log = LOG.string[/job .* is done.*/]
      ImportJob.perform_later(date: Date.new(2024, 1, 31))
      deliver
      [CALLS, log, runs.map(&:first)]
    RUBY
    expect(calls - [:after]).to eq([:fetch, [:load, "2024-01-31"], :fetch, [:load, "2024-01-31"]])
    expect(log).to match(/\Ajob \S+ is done: run \S+ of Import succeeded\z/)
    expect(runs).to eq(%i[succeeded succeeded])
  end

  it "runs once, however many workers get the same job at the same time" do
    expect(job(<<~'RUBY')).to eq([[:succeeded] * 10, 10])
      jobs = Array.new(10) { |day| ImportJob.new(date: Date.new(2024, 1, day + 1)).serialize }
      workers = Array.new(4) do
        fork do
          jobs.each do |data|
            sleep(0.02) until Time.now.to_f % 0.1 < 0.02 # They start together.
            deliver(data.dup)
          end
          exit!(0)
        end
      end
      workers.each { |pid| Process.wait(pid) }
      [runs.map(&:first), runs.map { |run| run[1] }.uniq.size]
    RUBY
  end

  it "resumes with the params of the first delivery, defaults included" do
    expect(job(<<~'RUBY')).to eq([[:fetch, [:load, "2024-01-31"], [:load, "2024-01-31"], :after], true])
      $today = Date.new(2024, 1, 31)
      $bad = true
      ImportJob.perform_later
      data = enqueued.shift
      error { deliver(data.dup) }
      $today = Date.new(2024, 2, 1)
      $bad = false
      deliver(data)
      [CALLS, runs.last.last]
    RUBY
  end

  it "starts from the beginning, and says why, if the run of the job cannot be resumed any more" do
    calls, log = job(<<~'RUBY')
      $bad = true
      date = { date: Date.new(2024, 1, 31) }
      ImportJob.perform_later(**date)
      data = enqueued.shift
      error { deliver(data.dup) }
      $bad = false
      ImportJob.perform_now(**date)
      CALLS.clear
      deliver(data)
      [CALLS, LOG.string[/run \S+ cannot be resumed.*/]]
    RUBY
    expect(calls).to eq([:fetch, [:load, "2024-01-31"], :after])
    expect(log).to match(/: run \S+ has replaced it, with the same params; starts from the beginning\z/)
  end

  it "returns to the queue while a run with the same params is alive, without callbacks and errors" do
    again, calls, log, done = job(<<~'RUBY')
      job = ImportJob.new(date: Date.new(2024, 1, 31))
      alive(date: Date.new(2024, 1, 31)) { job.perform_now }
      again = enqueued.first
      calls = CALLS.dup
      deliver
      [[again["job_id"] == job.job_id, (again[:at] - Time.now.to_f).round(-1)], calls, LOG.string, CALLS.last]
    RUBY
    expect(again).to eq([true, 30])
    expect(calls - [[:load, "2024-01-31"]]).to eq([:fetch])
    expect(log).to match(/\[flowline\] run \S+ of Import \(date: 2024-01-31\) is alive in process .*; the job returns to the queue for 30 s$/)
    expect(log).not_to include("Error performing")
    expect(done).to eq(:after)
  end

  it "discards the job, or raises, if that is what becomes of it while a run with the same params is alive" do
    expect(job(<<~'RUBY')).to match([[nil, 0], ["Flowline::LockedError", match(/is alive in process/)], nil])
      class DiscardingJob < ImportJob
        pipeline Import, on_locked: :discard
      end
      class RaisingJob < ImportJob
        pipeline Import, on_locked: :raise
      end
      class OverlappingJob < ImportJob
        pipeline Import, exclusive: false
      end
      date = { date: Date.new(2024, 1, 31) }
      alive(**date) { [[DiscardingJob.perform_now(**date), enqueued.size], error { RaisingJob.perform_now(**date) }, error { OverlappingJob.perform_now(**date) }] }
    RUBY
  end

  it "raises if it cannot return to a queue, because its adapter performs jobs at once" do
    expect(job(<<~'RUBY')).to eq(%w[Flowline::LockedError Flowline::LockedError])
      date = { date: Date.new(2024, 1, 31) }
      ActiveJob::Base.queue_adapter.perform_enqueued_jobs = true
      alive(**date) do
        testing = error { ImportJob.perform_later(**date) }.first
        ActiveJob::Base.queue_adapter = :inline
        [testing, error { ImportJob.perform_later(**date) }.first]
      end
    RUBY
  end

  # The worker ends while the third item is called.
  let(:stopping) { <<~'RUBY' }
    class Pages < Flowline::Pipeline
      step(:pages) { (1..6).to_a }
      step(:load, each: :pages, concurrency: 1) do |page|
        CALLS << page
        $stopping = page == 3
        Thread.pass until !$stopping || $cancelled
      end
    end
    Flowline::Execution::Coordinator.prepend(Module.new { def cancel(*) = super.tap { $cancelled = true } })
  RUBY

  it "stops when the job says so, returns to the queue, and the next delivery calls only the items that are left" do
    expect(job(stopping + <<~'RUBY')).to eq([[1, 2, 3], true, [1, 2, 3, 4, 5, 6, :after], %i[cancelled succeeded], false])
      class PagesJob < ActiveJob::Base
        include Flowline::Job
        pipeline Pages
        after_perform { CALLS << :after }
        def stopping? = super || $stopping
      end
      job = PagesJob.perform_later
      deliver
      first = CALLS.dup
      same = enqueued.map { |data| [data["job_id"], data[:at]] } == [[job.job_id, nil]]
      $stopping = false
      deliver
      [first, same, CALLS, runs.map(&:first), LOG.string.include?("Error performing")]
    RUBY
  end

  it "stops when its adapter says so, as adapters do since Rails 8.1" do
    expect(job(stopping + <<~'RUBY')).to eq([[1, 2, 3], 1])
      class PagesJob < ActiveJob::Base
        include Flowline::Job
        pipeline Pages
      end
      ActiveJob::Base.queue_adapter.define_singleton_method(:stopping?) { |_job = nil| $stopping }
      PagesJob.perform_later
      deliver
      [CALLS, enqueued.size]
    RUBY
  end

  it "asks in its own thread as well, because the answer of a queue may depend on the thread" do
    expect(job(<<~'RUBY')).to eq([%i[one two], 1])
      class Pages < Flowline::Pipeline
        step(:one) { CALLS << :one; [1, 2] }
        step(:two, depends_on: :one) { CALLS << :two; Thread.current[:stopping] = true }
        step(:three, depends_on: :two) { CALLS << :three }
      end
      class PagesJob < ActiveJob::Base
        include Flowline::Job
        pipeline Pages, executor: :sequential
        def stopping? = Thread.current[:stopping]
      end
      PagesJob.perform_later
      deliver
      [CALLS, enqueued.size]
    RUBY
  end

  it "says that stopping? failed, and runs to its end" do
    expect(job(<<~'RUBY')).to eq([:succeeded, "stopping? of SlowJob failed: RuntimeError: who knows; the run is not stopped when the worker ends"])
      class SlowJob < ActiveJob::Base
        include Flowline::Job
        pipeline { Flowline.define { step(:wait) { Thread.pass until $asked } } }
        def stopping? = ($asked = true) && raise("who knows")
      end
      [SlowJob.perform_now.status, LOG.string[/stopping\?.*/]]
    RUBY
  end

  it "refuses params that are unknown, missing, of the wrong type or secret when the job is enqueued" do
    expect(job(<<~'RUBY')).to match([include("unknown param dat; did you mean date?"), match(/param token is secret.*ENV.fetch\("TOKEN"\)/), /must be a date/, /by name/, [], 0])
      problems = [{ dat: 1 }, { token: "x" }, { date: "soon" }].map { |params| error { ImportJob.perform_later(**params) }.last }
      [*problems, error { ImportJob.perform_later(Date.new(2024, 1, 31)) }.last, CALLS, enqueued.size]
    RUBY
  end

  it "refuses secrets whenever the job is serialised, because callbacks are not asked when many are enqueued" do
    expect(job(<<~'RUBY')).to match([["Flowline::ParamError", /param token is secret/], "2024-01-31"])
      [error { ImportJob.new(token: "x").serialize }, ImportJob.new(date: "2024-01-31").serialize["arguments"].first["date"]]
    RUBY
  end

  it "refuses secrets that would go through the queue as arguments of an overriding perform, if it is asked" do
    expect(job(<<~'RUBY')).to match([[/param token is secret/] * 3, { "date" => "2024-01-31" }])
      ask = ->(pipeline, params) { error { Flowline::Job.refuse_secrets(pipeline, params) }&.last }
      refused = [ask.call(Import, { token: "x", date: "2024-01-31" }), ask.call(Import.pipeline, { "token" => nil }), ask.call(Import, { token: "x" })]
      [refused, Flowline::Job.refuse_secrets(Import, { "date" => "2024-01-31" })]
    RUBY
  end

  it "takes a param from an overriding perform, which may find secrets and choose its own arguments" do
    calls, token = job(<<~'RUBY')
      class Import
        step(:keep, depends_on: :load) { |_, token:| $token = token.dup }
      end
      class TenantJob < ImportJob
        def perform(tenant)
          super(date: tenant.fetch(:day), token: "of #{tenant[:name]}")
        end
      end
      TenantJob.perform_later({ day: "2024-01-31", name: "acme" })
      deliver
      [CALLS, $token]
    RUBY
    expect(calls).to eq([:fetch, [:load, "2024-01-31"], :after])
    expect(token).to eq("of acme")
  end

  it "runs the pipeline that an overriding perform names, and resumes the run that it names in its first delivery" do
    calls, runs, refusal = job(<<~'RUBY')
      class RunJob < ActiveJob::Base
        include Flowline::Job
        pipeline on_locked: :raise
        def perform(name, params = {}, resume = nil)
          run_pipeline(params, pipeline: { "import" => Import }.fetch(name), resume: resume)
        end
      end
      $bad = true
      failed = error { Import.run!(date: "2024-01-31") } && Flowline::History.runs.first.run_id
      $bad = false
      RunJob.perform_later("import", {}, failed)
      data = enqueued.shift
      2.times { deliver(data.dup) }
      RunJob.perform_now("import", { "date" => "2024-02-01" })
      [CALLS, runs.map { |run| [run.first, run.last] }, error { RunJob.perform_now("import", {}, failed) }]
    RUBY
    expect(calls).to eq([:fetch, [:load, "2024-01-31"], [:load, "2024-01-31"], :fetch, [:load, "2024-02-01"]])
    expect(runs).to eq([[:failed, false], [:succeeded, true], [:succeeded, false]])
    expect(refusal).to match(["Flowline::CheckpointError", /cannot be resumed: run \S+ has resumed it/])
  end

  it "looks a pipeline class up by its name, so that reloaded code takes effect" do
    expect(job(<<~'RUBY')).to eq([:old, :new, :new, :of_a_block])
      def define(value) = Object.const_set(:Reloaded, Class.new(Flowline::Pipeline) { step(:value) { value } })
      define(:old)
      jobs = [Reloaded, "Reloaded"].map { |source| Class.new(ActiveJob::Base) { include Flowline::Job; pipeline source } }
      old = jobs.first.new.send(:run_pipeline, {})[:value].output
      Object.send(:remove_const, :Reloaded)
      define(:new)
      block = Class.new(ActiveJob::Base) { include Flowline::Job; pipeline { Flowline.define { step(:value) { :of_a_block } } } }
      [old, *jobs.map { |job| job.new.send(:run_pipeline, {})[:value].output }, block.new.send(:run_pipeline, {})[:value].output]
    RUBY
  end

  it "names every mistake of a declaration" do
    messages = job(<<~'RUBY')
      declare = ->(*arguments, **options) { error { Class.new(ActiveJob::Base) { include Flowline::Job; pipeline(*arguments, **options) } } }
      [declare.call(Import, on_locked: :wait, resume: true), declare.call(3), error { Class.new(ActiveJob::Base) { include Flowline::Job }.perform_now },
       error { Class.new(ImportJob) { pipeline "CALLS" }.perform_now },
       error { Class.new(ImportJob) { pipeline String }.perform_now }, error { Class.new { include Flowline::Job } }].map(&:last)
    RUBY
    expect(messages).to match([/\A2 problems:\n.*on_locked: must be :retry, :discard or :raise, not .*\n.*unknown option resume/,
                               /takes a pipeline class, the name of a constant, a pipeline or a block, not/, /which pipeline does it run\?/,
                               /pipeline is Array \(0\), not a pipeline/, /pipeline is String, not a pipeline/, /Flowline::Job is for subclasses of ActiveJob::Base/])
  end

  it "notifies the reporter that it declares, instead of the log" do
    expect(job(<<~'RUBY')).to eq([%i[fetch load], false])
      steps = []
      ImportJob.pipeline Import, reporter: Flowline::Reporter.for(:step_finished) { |event| steps << event.step.name }
      ImportJob.perform_now(date: "2024-01-31")
      [steps, LOG.string.include?("[Flowline]")]
    RUBY
  end

  it "does not raise the error of a failed run if failures are discarded" do
    expect(job(<<~'RUBY')).to eq([:failed, true])
      class ImportJob
        pipeline Import, on_failure: :discard
      end
      $bad = true
      [ImportJob.perform_now(date: "2024-01-31").status, LOG.string.include?("failed; the job is not retried")]
    RUBY
  end

  it "runs a pipeline without a name, and one without a store, from the beginning each time" do
    expect(job(<<~'RUBY')).to eq([2, 4, 0, ["[flowline] the pipeline of UnnamedJob has no name: each delivery starts from the beginning"]])
      class UnnamedJob < ActiveJob::Base
        include Flowline::Job
        PIPELINE = Flowline.define { step(:count) { CALLS << 1 } }
        pipeline PIPELINE
      end
      UnnamedJob.perform_later
      data = enqueued.shift
      2.times { deliver(data.dup) }
      first = CALLS.size
      Flowline.config.store = false
      data = ImportJob.new(date: "2024-01-31").serialize
      2.times { deliver(data.dup) }
      [first, CALLS.count([:load, "2024-01-31"]) + 2, runs.size, LOG.string.scan(/\[flowline\].*no name.*/).uniq]
    RUBY
  end

  it "returns the database connections of its workers, so that the pool suffices for more threads than it has connections" do
    skip "needs activerecord and sqlite3" unless ENV["CI"] || %w[activerecord sqlite3].all? { |name| Gem::Specification.find_all_by_name(name).any? }

    # SQLite waits for a lock without letting other threads run, so the steps only read.
    expect(job(<<~'RUBY')).to eq([[], 8, 32, 0])
      require "active_record"
      ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ":memory:", pool: 3, checkout_timeout: 10)
      class Rows < Flowline::Pipeline
        param :number
        step(:items) { [1, 2, 3, 4] }
        step :select, each: :items, concurrency: 4 do |item|
          CALLS << ActiveRecord::Base.connection.select_value("SELECT #{item}")
          sleep(0.05) # So that all threads are needed.
        end
      end
      class RowsJob < ActiveJob::Base
        include Flowline::Job
        pipeline Rows, executor: :parallel, max_threads: 4
      end
      ActiveJob::Base.queue_adapter = :async
      8.times { |number| RowsJob.perform_later(number: number) }
      ActiveJob::Base.queue_adapter.shutdown(wait: true)
      ended = Flowline::History.runs
      [ended.filter_map(&:error), ended.count { |run| run.status == :succeeded }, CALLS.size, ActiveRecord::Base.connection_pool.stat[:busy]]
    RUBY
  end
end
