# frozen_string_literal: true

require "open3"
begin
  require "active_support"
  require "active_support/notifications"
  require "active_support/subscriber"
rescue LoadError
  nil # The examples are skipped.
end

# A notification as a subscriber gets it.
NotificationsHeard = Struct.new(:name, :seconds, :payload, :thread)

RSpec.describe "ActiveSupport::Notifications" do
  let(:heard) { [] }
  let(:lock) { Mutex.new }
  let(:subscriptions) { [] }

  before { skip("needs activesupport") unless defined?(ActiveSupport::Notifications) }

  after { subscriptions.each { |subscription| ActiveSupport::Notifications.unsubscribe(subscription) } }

  def listen(pattern = /\.flowline\z/)
    subscribe(pattern) do |name, began, ended, _id, payload|
      lock.synchronize { heard << NotificationsHeard.new(name, ended - began, payload, Thread.current) }
    end
  end

  def subscribe(pattern, &block)
    subscriptions << ActiveSupport::Notifications.subscribe(pattern, &block)
  end

  def payloads(name)
    heard.select { |event| event.name == name }.map(&:payload)
  end

  it "notifies of the run, of each step, of each attempt, of retries and of lookups in a cache", executor: :in_process do
    listen
    tries = 0
    result = run(define: { name: "import", cache: Flowline::Cache::Memory.new }) do
      step(:fetch, cache: true) { [1, 2] }
      step(:load, depends_on: :fetch, retries: 1, retry_delay: 0.01) { |rows| (tries += 1) == 1 ? raise(IOError, "closed") : rows.size }
    end
    of_run = { run_id: result.run_id, pipeline: "import" }
    expect(heard.map(&:name).tally).to eq("run.flowline" => 1, "step.flowline" => 2, "attempt.flowline" => 3, "retry.flowline" => 1, "cache.flowline" => 1)
    expect(payloads("run.flowline")).to match([include(of_run.merge(steps: 2, resumed: nil, status: :succeeded))])
    expect(payloads("step.flowline").last).to include(of_run.merge(step: :load, status: :succeeded, attempts: 2, started_at: be_a(Time), duration: be > 0.01))
    expect(payloads("attempt.flowline").map { |payload| payload.values_at(:step, :attempt, :status, :exception) }).to eq(
      [[:fetch, 1, :succeeded, nil], [:load, 1, :failed, ["IOError", "closed"]], [:load, 2, :succeeded, nil]]
    )
    expect(payloads("retry.flowline")).to eq([of_run.merge(step: :load, attempt: 1, item: nil, wait: 0.01, exception: %w[IOError closed])])
    expect(payloads("cache.flowline")).to match([of_run.merge(step: :fetch, item: nil, hit: false, reason: be_a(String))])
  end

  it "encloses each attempt in its worker, and a step of several attempts with its waits", executor: :in_process do
    listen
    workers = {}
    tries = 0
    run(executor: :parallel, max_threads: 2) do
      step(:slow) { (workers[:slow] = Thread.current) && sleep(0.1) }
      step(:quick, retries: 1, retry_delay: 0.05) { (workers[:quick] = Thread.current) && ((tries += 1) == 1 ? raise("no") : 1) }
    end
    attempts = heard.select { |event| event.name == "attempt.flowline" }
    expect(attempts.find { |event| event.payload[:step] == :slow }).to have_attributes(thread: workers[:slow], seconds: be_between(0.1, 5))
    expect(attempts.find { |event| event.payload[:step] == :quick }.thread).not_to equal(Thread.current)
    steps = heard.select { |event| event.name == "step.flowline" }.to_h { |event| [event.payload[:step], event.seconds] }
    expect(steps).to match(slow: be_between(0.08, 5), quick: be_between(0.04, 5))
  end

  it "notifies subscribers that take an event, and objects with start and finish" do
    durations = []
    subscribe("step.flowline") { |event| durations << event.duration }
    log = Class.new do
      attr_reader :calls

      def start(name, _id, _payload) = (@calls ||= []) << [:start, name]
      def finish(name, _id, payload) = @calls << [:finish, name, payload[:status]]
    end.new
    subscriptions << ActiveSupport::Notifications.subscribe("run.flowline", log)
    run { step(:a) { 1 } }
    expect(durations).to match([be_positive])
    expect(log.calls).to eq([[:start, "run.flowline"], [:finish, "run.flowline", :succeeded]])
  end

  it "notifies a subscriber that is attached to :flowline" do
    skip("needs ActiveSupport::Subscriber") unless defined?(ActiveSupport::Subscriber)
    log = heard
    type = Class.new(ActiveSupport::Subscriber) { define_method(:step) { |event| log << event.payload[:step] } }
    type.attach_to(:flowline)
    run { step(:a) { 1 } }
    expect(heard).to eq([:a])
  ensure
    type&.detach_from(:flowline)
  end

  it "notifies of steps that are not called, with their reason" do
    listen
    run { step(:a, when: ->(_) { false }) { 1 } }
    expect(payloads("step.flowline")).to match([include(step: :a, status: :skipped, reason: :condition, attempts: 0, duration: nil)])
    expect(payloads("attempt.flowline")).to be_empty
  end

  it "runs attempts in forked children within notifications of their parent" do
    listen
    run(executor: :process) { step(:a) { 1 } }
    expect(payloads("attempt.flowline")).to match([include(step: :a, status: :succeeded)])
  end

  it "publishes a timed-out attempt as interrupted" do
    listen
    run { step(:a, timeout: 0.02) { sleep } }
    expect(payloads("attempt.flowline")).to match([include(status: :interrupted)])
    expect(payloads("step.flowline")).to match([include(status: :timed_out, exception: ["Flowline::TimeoutError", be_a(String)])])
  end

  it "leaves a throw out of a step as it is", executor: :sequential do
    listen
    expect(catch(:done) { run { step(:a) { throw :done, 7 } } }).to eq(7)
    expect(heard.map(&:name)).to match_array(%w[attempt.flowline step.flowline run.flowline])
  end

  it "turns the exception of a subscriber into a warning, and calls the step once", executor: :in_process do
    calls = 0
    subscribe("attempt.flowline") { |*| raise "subscriber is broken" }
    result = run { step(:a) { calls += 1 } }
    expect([result.status, calls]).to eq([:succeeded, 1])
    expect(result.warnings).to match([/\Aa subscriber of attempt\.flowline failed: RuntimeError: subscriber is broken/])
  end

  it "leaves out a subscriber of steps that raises, with a warning" do
    subscribe("step.flowline") { |*| raise "subscriber is broken" }
    result = run { step(:a) { 1 } }
    expect(result).to be_success
    expect(result.warnings.join).to include("subscriber is broken")
  end

  it "goes on for other subscribers when one raises" do
    listen(/\A(run|step)\.flowline\z/)
    subscribe("retry.flowline") { |*| raise "subscriber is broken" }
    tries = 0
    result = run(executor: :sequential) do
      step(:flaky, retries: 1) { (tries += 1) == 1 ? raise(IOError) : 1 }
      step(:after, depends_on: :flaky) { |_| 1 }
    end
    expect([result.status, heard.map(&:name).tally]).to eq([:succeeded, { "step.flowline" => 2, "run.flowline" => 1 }])
    expect(result.warnings).to match([/\Aa subscriber of retry\.flowline failed: .*subscriber is broken/m])
  end

  it "keeps the error of a step if a subscriber raises as well" do
    subscribe("attempt.flowline") { |*| raise "subscriber is broken" }
    result = run { step(:a) { raise IOError, "its own" } }
    expect(result[:a].error.original).to be_a(IOError)
  end

  it "observes no run if no subscriber listens" do
    subscribe("sql.active_record") { |*| nil }
    expect(Flowline::Telemetry.observers(instance_double(Flowline::Execution::Environment))).to eq([])
  end

  it "is not needed" do
    script = "require 'flowline'; print Flowline.define { |p| p.step(:a) { 1 } }.run.status, defined?(ActiveSupport).inspect"
    output, = Open3.capture2e(RbConfig.ruby, "-I#{Processes::LIB}", "-e", script)
    expect(output).to eq("succeedednil")
  end
end
