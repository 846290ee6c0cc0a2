# frozen_string_literal: true

# Real processes of Sidekiq, on a Redis of their own. The steps of the pipeline note their calls in a file, and wait for others,
# so that a signal comes where the example wants it.
RSpec.describe "Jobs of Sidekiq" do
  include JobApp::Examples

  before(:all) do
    skip "needs sidekiq and redis-server" unless ENV["CI"] || (RedisServer.there? && Gem::Specification.find_all_by_name("sidekiq").any?)
    @redis = RedisServer.new
  end

  after(:all) { @redis&.stop }

  after { @app&.close }

  let(:app) { @app = JobApp.new(source, "REDIS_URL" => @redis.url) }

  let(:source) { <<~RUBY }
    require "sidekiq"
    require "sidekiq/api"
    require "flowline"
    Redis.silence_deprecations = true if defined?(Redis.silence_deprecations) # Those of Sidekiq 6.4.
    Sidekiq.configure_client { |config| config.logger.level = Logger::WARN }

    #{JobApp::IMPORT}
    class ImportJob
      include Sidekiq::Job
      include Flowline::Job
      sidekiq_options retry: 3
      pipeline Import
    end

    class DiscardingJob < ImportJob
      pipeline Import, on_locked: :discard
    end

    class RaisingJob < ImportJob
      pipeline Import, on_locked: :raise
    end

    class PatientJob < ImportJob
      pipeline Import, locked_wait: 600
    end
  RUBY

  let(:day) { "2024-01-31" }

  # Starts Sidekiq.
  def sidekiq(*options)
    app.start(Gem.bin_path("sidekiq", "sidekiq"), "-r", "./app.rb", "-c", "2", *options)
  end

  # Starts Sidekiq with little time for its end, and without a second thread: that would still wait for jobs then, and take the
  # one that Sidekiq returns to the queue into its end.
  def hasty_sidekiq
    sidekiq("-t", "1", "-c", "1")
  end

  # Pushes a job again, as a queue does that delivers at least once.
  def deliver(payload)
    client("Sidekiq::Client.push(#{payload.inspect})")
  end

  def queued
    client("Sidekiq::Queue.new.map(&:item)")
  end

  before { client("Sidekiq.redis { |redis| redis.flushall }") }

  it "runs a pipeline with the arguments as its params, coerced" do
    id = client("ImportJob.perform_async(date: Date.new(2024, 1, 31))")
    app.touch("go")
    sidekiq
    await_runs(:succeeded)
    expect(app.calls.last).to eq("sum 210 #<Date: 2024-01-31 ((2460341j,0s,0n),+0s,2299161j)>")
    expect(app.runs.first).to have_attributes(trigger: :job, job: id, params: { date: "2024-01-31", token: "[secret]" })
    expect(flowline("show", app.runs.first.run_id, "--root", app.path("store"))[1]).to include("started by: job #{id}")
  end

  it "stops a map in good order on TERM, and the next delivery calls only the items that are left" do
    id = client("ImportJob.perform_async(date: '#{day}')")
    pid = sidekiq("-t", "30")
    await_call("3")
    Process.kill(:TERM, pid)
    await_cancelling
    app.touch("go") # What runs finishes.
    expect(app.wait(pid)).to be_success
    await_runs(:cancelled)
    expect(app.calls).to eq(%w[pages 1 2 3])
    expect(queued).to contain_exactly(include("jid" => id, "args" => [{ "date" => day }], "retry" => 3))
    expect(app.log).to include("was stopped because the worker ends; the job returns to the queue")
    expect(app.log).not_to include("ERROR", "Job raised exception")

    pid = sidekiq
    await_runs(:cancelled, :succeeded)
    app.end_worker(pid)
    expect(app.calls).to match(["pages", "1", "2", "3", "4", "5", "6", start_with("sum 210")])
    expect(app.runs.last).to have_attributes(resumed: app.runs.first.run_id, job: id)
    expect(queued).to be_empty
  end

  it "interrupts a step that takes longer than the time that is left, and the next delivery repeats that item" do
    id = client("ImportJob.perform_async(date: '#{day}')")
    pid = hasty_sidekiq
    await_call("3")
    app.end_worker(pid)
    await_runs(:cancelled)
    expect(queued).to contain_exactly(include("jid" => id))
    expect(app.calls).to eq(%w[pages 1 2 3])
    app.touch("go")
    sidekiq
    await_runs(:cancelled, :succeeded)
    expect(app.calls).to match(["pages", "1", "2", "3", "3", "4", "5", "6", start_with("sum 210")])
  end

  it "resumes after kill -9 when the job is delivered again; Sidekiq itself has lost it" do
    client("ImportJob.perform_async(date: '#{day}')")
    payload = queued.first
    pid = sidekiq
    await_call("3")
    app.end_worker(pid, :KILL)
    expect(queued).to be_empty
    app.touch("go")
    deliver(payload)
    pid = sidekiq
    await_runs(:crashed, :succeeded)
    expect(app.calls).to match(["pages", "1", "2", "3", "3", "4", "5", "6", start_with("sum 210")])

    deliver(payload) # Again, although its run has succeeded.
    await_log("is done: run #{app.runs.last.run_id} of Import succeeded")
    client("ImportJob.perform_async(date: '#{day}')") # Another job is another run.
    await_runs(:crashed, :succeeded, :succeeded)
    app.end_worker(pid)
    expect(app.runs.last.resumed).to be_nil
    expect(app.calls.count("pages")).to eq(2)
  end

  it "runs one of two deliveries of a job at the same time, and the other one later finds it done" do
    id = client("PatientJob.perform_async(date: '#{day}')")
    deliver(queued.first)
    sidekiq
    scheduled = -> { client("Sidekiq::ScheduledSet.new.map { |job| [job.jid, job.at - Time.now] }") }
    await_call("3")
    app.await("a delivery that returns") { scheduled.call.any? }
    expect(scheduled.call).to contain_exactly([id, be_between(500, 601)])
    app.touch("go")
    await_runs(:succeeded)
    client("Sidekiq::ScheduledSet.new.each(&:add_to_queue)")
    await_log("job #{id} is done")
    expect(app.runs.size).to eq(1)
    expect(app.calls.uniq).to eq(app.calls)
  end

  it "discards a job, or raises, if that is what becomes of it while a run with the same params is alive" do
    client("ImportJob.perform_async(date: '#{day}')")
    sidekiq
    await_call("3")
    client("DiscardingJob.perform_async(date: '#{day}'); RaisingJob.perform_async(date: '#{day}')")
    await_log("; the job is discarded")
    retries = app.await("the failed job") { client("Sidekiq::RetrySet.new.map(&:item)").then { |set| set unless set.empty? } }
    expect(retries).to contain_exactly(include("class" => "RaisingJob", "error_class" => "Flowline::LockedError"))
    expect(client("Sidekiq::ScheduledSet.new.size")).to eq(0)
    expect(app.runs.size).to eq(1)
  end

  it "raises the error of a failed step, so that Sidekiq retries the job, which resumes" do
    app.touch("go")
    app.touch("bad")
    id = client("ImportJob.perform_async(date: '#{day}')")
    pid = sidekiq
    retries = app.await("the failed job") { client("Sidekiq::RetrySet.new.map(&:item)").then { |set| set unless set.empty? } }
    expect(retries.first).to include("jid" => id, "error_class" => "Flowline::StepError", "error_message" => /\Astep sum failed: RuntimeError: no sum \(.*app.rb:\d+\)\z/)
    FileUtils.rm(app.path("bad"))
    client("Sidekiq::RetrySet.new.each(&:retry)")
    await_runs(:failed, :succeeded)
    app.end_worker(pid)
    expect(app.calls.size).to eq(9) # The sum is the only step that was called twice.
  end

  it "does not retry a job whose run somebody has cancelled" do
    client("ImportJob.perform_async(date: '#{day}')")
    sidekiq
    await_call("3")
    expect(flowline("cancel", "--root", app.path("store")).first).to eq(0)
    await_cancelling
    app.touch("go")
    await_runs(:cancelled)
    await_log("was cancelled; the job is not retried")
    expect(client("[Sidekiq::RetrySet, Sidekiq::ScheduledSet, Sidekiq::Queue].map { |set| set.new.size }")).to eq([0, 0, 0])
  end

  it "refuses params that are unknown, missing, of the wrong type or secret when the job is pushed" do
    message = client(<<~RUBY)
      begin
        ImportJob.perform_async(day: 1, token: "x")
      rescue Flowline::ParamError => e
        e.message
      end
    RUBY
    expect(message).to eq(<<~TEXT.chomp)
      3 problems:
        - unknown param day; known are date, token
        - param date is required
        - param token is secret and must not go through a queue, where others can read it; let the worker find it, as with param :token, secret: true, default: -> { ENV.fetch("TOKEN") }
    TEXT
    expect { client("ImportJob.perform_in(60, date: 'tomorrow')") }.to raise_error(/param date must be a date such as 2024-01-31/)
    expect(client("Sidekiq::Queue.new.size + Sidekiq::ScheduledSet.new.size")).to eq(0)
  end

  it "refuses secrets on every way into the queue" do
    expect(client(<<~RUBY)).to match([[/param token is secret/] * 4, 1])
      given = { "date" => "2024-01-31", "token" => "x" }
      ways = [-> { ImportJob.set(queue: "low").perform_async(given) }, -> { ImportJob.perform_bulk([[given]]) },
              -> { Sidekiq::Client.push("class" => "ImportJob", "args" => [given]) }, -> { ImportJob.set(queue: "low").perform_in(60, given) }]
      refused = ways.map do |way|
        way.call
      rescue Flowline::ParamError => e
        e.message
      end
      ImportJob.perform_bulk([[given.except("token")]])
      Sidekiq::Client.push("class" => "OfAnotherProgram", "args" => [given], "queue" => "other")
      [refused, Sidekiq::Queue.all.sum(&:size) + Sidekiq::ScheduledSet.new.size - 1]
    RUBY
  end

  it "is left to the retries of Sidekiq if other middleware does not let it return to the queue" do
    expect(client(<<~RUBY)).to eq(["the job returns to its queue: the worker ends", 0])
      refusal = Class.new { def call(*) = nil }
      Sidekiq.configure_client { |config| config.client_middleware { |chain| chain.add(refusal) } }
      begin
        Flowline::Integrations::Sidekiq::Middleware.new.call(nil, { "class" => "ImportJob", "args" => [], "jid" => "1" }, "default") do
          raise Flowline::Job::Requeue.new(nil, Flowline::Error.new("the worker ends"))
        end
      rescue Flowline::Job::Requeue => e
        [e.message, Sidekiq::Queue.new.size]
      end
    RUBY
  end

  it "belongs to a class that includes Sidekiq::Job" do
    expect { client("Class.new { include Flowline::Job }") }.to raise_error(/Flowline::Job is for subclasses of ActiveJob::Base, and for classes that/)
  end

  context "with Active Job" do
    before { skip "needs activejob" unless ENV["CI"] || Gem::Specification.find_all_by_name("activejob").any? }

    let(:source) { <<~RUBY }
      require "active_job"
      require "sidekiq"
      require "sidekiq/api"
      require "flowline"
      Redis.silence_deprecations = true if defined?(Redis.silence_deprecations) # Those of Sidekiq 6.4.
      Sidekiq.configure_client { |config| config.logger.level = Logger::WARN }
      ActiveJob::Base.queue_adapter = :sidekiq
      ActiveJob::Base.logger = ActiveSupport::Logger.new("active_job.log")

      #{JobApp::IMPORT}
      class ImportJob < ActiveJob::Base
        include Flowline::Job
        pipeline Import
      end
    RUBY

    it "stops a map in good order on TERM, and the next delivery calls only the items that are left" do
      id = client("ImportJob.perform_later(date: Date.new(2024, 1, 31)).job_id")
      pid = sidekiq("-t", "30")
      await_call("3")
      Process.kill(:TERM, pid)
      await_cancelling
      app.touch("go")
      expect(app.wait(pid)).to be_success
      await_runs(:cancelled)
      expect(queued).to contain_exactly(include("wrapped" => "ImportJob", "args" => [include("job_id" => id)]))
      sidekiq
      await_runs(:cancelled, :succeeded)
      expect(app.calls).to match(["pages", "1", "2", "3", "4", "5", "6", start_with("sum 210")])
      expect(app.runs.map(&:job)).to eq([id, id])
    end

    it "interrupts a step that takes longer than the time that is left, and the next delivery repeats that item" do
      client("ImportJob.perform_later(date: Date.new(2024, 1, 31)).job_id")
      pid = hasty_sidekiq
      await_call("3")
      app.end_worker(pid)
      await_runs(:cancelled)
      expect(queued.size).to eq(1)
      app.touch("go")
      sidekiq
      await_runs(:cancelled, :succeeded)
      expect(app.calls).to match(["pages", "1", "2", "3", "3", "4", "5", "6", start_with("sum 210")])
    end

    it "resumes after kill -9 when the job is delivered again" do
      client("ImportJob.perform_later(date: Date.new(2024, 1, 31)).job_id")
      payload = queued.first
      pid = sidekiq
      await_call("3")
      app.end_worker(pid, :KILL)
      app.touch("go")
      deliver(payload)
      sidekiq
      await_runs(:crashed, :succeeded)
      expect(app.calls).to match(["pages", "1", "2", "3", "3", "4", "5", "6", start_with("sum 210")])
    end
  end
end
