# frozen_string_literal: true

RSpec.describe "Retries", executor: :in_process do
  # Fails so many times, then returns :done.
  def flaky(failures, error: IOError, **options)
    tries = 0
    Flowline.define do |p|
      p.step(:flaky, retries: 3, **options) do
        tries += 1
        raise error, "try #{tries}" if tries <= failures

        :done
      end
    end
  end

  def waits(strategy, delay: 1.0, most: 60.0, jitter: 0.0, chance: 0.5)
    (1..8).map { |attempt| Flowline.const_get(:Native).retry_wait(strategy, delay, most, jitter, attempt, chance) }
  end

  it "repeat failed attempts and report their number, on success as well" do
    result = flaky(2).run
    expect(result[:flaky]).to have_attributes(status: :succeeded, output: :done, attempts: 3)
  end

  it "fail with the last error when all attempts failed" do
    result = flaky(9).run
    expect(result[:flaky]).to have_attributes(status: :failed, attempts: 4)
    expect(result.error.message).to include("after 4 attempts: IOError: try 4")
  end

  it "wait according to retry_strategy:" do
    expect(waits(:immediate)).to eq([0.0] * 8)
    expect(waits(:linear, delay: 0.5)).to eq([0.5] * 8)
    expect(waits(:exponential)).to eq([1, 2, 4, 8, 16, 32, 60, 60])
    expect(waits(:exponential, jitter: 0.5, chance: 0.0).first).to eq(0.5)
  end

  it "let other steps run while they wait" do
    log = []
    Flowline.define do |p|
      p.step(:first, retries: 1, retry_strategy: :linear, retry_delay: 0.02) do
        log << :first
        raise IOError if log.one?
      end
      p.step(:second) { log << :second }
    end.run!
    expect(log).to eq(%i[first second first])
  end

  it "do not repeat a NameError" do
    expect(flaky(1, error: NameError).run[:flaky].attempts).to eq(1)
    expect(flaky(1, error: KeyError).run[:flaky].attempts).to eq(2)
    expect(flaky(1, error: NameError, retry_if: ->(e) { e.is_a?(NameError) }).run[:flaky].attempts).to eq(2)
    expect(flaky(1, retry_if: ->(e) { e.message != "try 1" }).run[:flaky].attempts).to eq(1)
  end

  it "take their delay from a lambda, and call on_retry each time" do
    seen = []
    flaky(2, retry_delay: ->(attempt, error) { [seen << [attempt, error.class], 0.001].last },
             on_retry: ->(error, attempt, wait) { seen << [error.message, attempt, wait] }).run!
    expect(seen).to eq([[1, IOError], ["try 1", 1, 0.001], [2, IOError], ["try 2", 2, 0.001]])
  end

  it "pass callables as many arguments as they take" do
    seen = []
    flaky(1, on_retry: -> { seen << :called }).run!
    flaky(1, on_retry: ->(error) { seen << error.class }).run!
    expect(seen).to eq([:called, IOError])
  end

  { "NaN" => Float::NAN, "-5" => -5, "String" => "soon", "NilClass" => nil }.each do |shown, delay|
    it "name the retry_delay: that returned #{shown}, and do not retry" do
      result = flaky(1, retry_delay: ->(*) { delay }).run
      expect(result[:flaky].attempts).to eq(1)
      expect(result.warnings).to match([/\Aretry_delay: of step flaky failed: TypeError: it returned #{shown}.*, not seconds from 0 up \(#{__FILE__}:#{__LINE__ - 2}\); the step is not retried\z/])
    end
  end

  it "accept an endless delay, and a retry_if: without parameters" do
    expect(flaky(1, retry_if: -> { true }, retry_delay: ->(*) { 0 }).run[:flaky].attempts).to eq(2)
    expect(flaky(1, retry_delay: ->(*) { Float::INFINITY }).run(timeout: 0.05).status).to eq(:timed_out)
  end

  it "ignore retry_if: and on_retry: that raise, with a warning" do
    result = flaky(1, retry_if: ->(_) { raise "no" }).run
    expect([result[:flaky].attempts, result.error.cause.class]).to eq([1, IOError])
    expect(result.warnings).to contain_exactly(/\Aretry_if: of step flaky failed: RuntimeError: no/)

    result = flaky(1, on_retry: ->(*) { raise "no" }).run
    expect(result).to be_success
    expect(result.warnings).to contain_exactly(/\Aon_retry: of step flaky failed/)
  end

  it "call conditions and before_step once" do
    asked = []
    tries = 0
    result = Flowline.define do |p|
      p.before_step { |step| asked << step.name }
      p.step(:flaky, retries: 2, when: ->(_) { asked << :when }) { (tries += 1) < 3 ? raise(IOError) : 1 }
      p.step(:refused, retries: 2, when: ->(_) { raise IOError, "condition" }) { 1 }
    end.run(on_error: :continue)
    expect(asked).to eq(%i[when flaky])
    expect(result[:flaky].attempts).to eq(3)
    expect(result[:refused].status).to eq(:failed)
  end

  it "notify hooks and reporters of each retry, and of one outcome" do
    seen = []
    out = StringIO.new
    tries = 0
    pipeline = Flowline.define do |p|
      p.on_step_retry { |step, error, attempt| seen << [:retry, step.name, error.class, attempt] }
      p.on_step_success { |step| seen << [:success, step.name] }
      p.on_step_failure { seen << :failure }
      p.step(:flaky, retries: 1) { (tries += 1).odd? ? raise(IOError, "down") : 1 }
    end
    pipeline.run(reporter: Flowline::Reporter::Console.new(out))
    expect(seen).to eq([[:retry, :flaky, IOError, 1], %i[success flaky]])
    expect(out.string).to match(/↻ flaky +attempt 1 failed: IOError: down; again at once\n✓ flaky +\d\.\d\ds   2 attempts/)

    json = StringIO.new
    pipeline.run(reporter: Flowline::Reporter::JSON.new(json))
    retried = json.string.lines.map { |line| JSON.parse(line) }.find { |line| line["event"] == "step_retried" }
    expect(retried).to include("step" => "flaky", "attempt" => 1, "wait" => 0.0, "error" => include("class" => "IOError", "message" => "down"))
  end

  it "refuse invalid options" do
    {
      { retries: -1 } => /retries: must be a whole number from 0 up/, { retries: 1.5 } => /retries/,
      { retry_strategy: :fast } => /retry_strategy: must be :immediate, :linear or :exponential/, { retry_delay: "1" } => /retry_delay/,
      { retry_jitter: 2 } => /retry_jitter: must be a number from 0 to 1/, { retry_if: 1 } => /retry_if/, { timeout: 0 } => /timeout: must be a number of seconds above 0/
    }.each { |options, message| expect { Flowline.define { |p| p.step(:a, **options) { 1 } } }.to refuse(message) }
  end

  it "work in the bare form with the self of the definition" do
    @limit = 1
    @seen = []
    tries = 0
    Flowline.define do
      step(:flaky, retries: 2, retry_if: ->(_) { @limit == 1 }, on_retry: ->(*) { @seen << :retry }) { (tries += 1) == 1 ? raise(IOError) : 1 }
    end.run!
    expect(@seen).to eq([:retry])
  end
end
