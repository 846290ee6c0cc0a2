# frozen_string_literal: true

require "open3"
require "rbconfig"
require "tmpdir"

# Files of tests that real RSpec and Minitest run in processes of their own.
RSpec.describe "Testing pipelines" do
  around do |example|
    Dir.mktmpdir { |folder| Dir.chdir(folder) { example.run } }
  end

  let(:lib) { File.expand_path("../../lib", __dir__) }

  before do
    File.write("import.rb", <<~RUBY)
      require "flowline"
      Import = Flowline.define(name: "import") do
        param :least, type: :integer, default: 10
        step(:fetch, cache: true) { [5, 15, 25] }
        step(:select, depends_on: :fetch) { |fetch:, least:| fetch.select { |n| n >= least } }
        step(:load, depends_on: :select, retries: 2, retry_strategy: :linear, retry_delay: 600) do |rows|
          rows.include?(666) ? raise(IOError, "down") : rows.size
        end
        step(:notify, depends_on: :load, when: ->(_, total) { total > 10 }) { |_| puts "sent" }
      end
    RUBY
  end

  # @return [Array(Integer, String)] the exit status, and what was printed
  def ruby(*arguments)
    out, status = Open3.capture2e({ "NO_COLOR" => "1", "FLOWLINE_ROOT" => nil, **Processes.coverage }, RbConfig.ruby, "-w", "-I#{lib}", "-I.", *arguments)
    [status.exitstatus, out]
  end

  def rspec(text)
    File.write("import_spec.rb", "require \"flowline/rspec\"\nrequire \"import\"\nRSpec.describe(\"Import\") do\n#{text}\nend\n")
    ruby(Gem.bin_path("rspec-core", "rspec"), "--order", "defined", "--options", File::NULL, "import_spec.rb")
  end

  def minitest(text)
    File.write("import_test.rb", <<~RUBY)
      require "minitest/autorun"
      require "flowline/minitest"
      require "import"
      class ImportTest < Minitest::Test
      #{text}
      end
    RUBY
    ruby("-Itest", "import_test.rb")
  end

  # @return [Array<String>] the messages of the failures, without the lines of code that RSpec shows
  def failures(printed)
    printed[/^Failures:\n(.*?)^Finished in/m, 1].split(/^  \d+\) .*\n/).drop(1)
                                                .map { |text| text.lines.grep_v(%r{Failure/Error:|^\s+# }).map(&:strip).join("\n").strip.sub(/1200\.\d\ds/, "1200.00s") }
  end

  describe "with RSpec" do
    it "passes with every matcher, without sleeping and without a store" do
      status, printed = rspec(<<~RUBY)
        let(:result) { Import.run }
        let(:broken) { Import.run(given: { fetch: [666] }) }
        it("a") { expect(result).to succeed.with_output(:load, 2).with_output(:fetch, include(25)) }
        it("b") { expect(result).to have_run(:load, :select).after(:fetch) }
        it("c") { expect(broken).to fail_at(:load).with(IOError, /down/).and have_run(:load).times(3) }
        it("d") { expect(broken).to fail_with("down").and fail_with(Flowline::StepError) }
        it("e") { expect(broken).not_to succeed }
        it("f") { expect(broken).not_to have_run(:fetch, :notify) }
        it("g") { expect(result).to have_skipped(:notify).because(:condition) }
        it("h") { expect(result[:notify]).to be_skipped.because(:condition) }
        it("i") { expect(broken[:fetch]).to be_given.and be_restored }
        it("j") { expect(result[:fetch]).not_to be_cached }
        it("k") { Import.run; expect(Import.run).to have_cached(:fetch); expect(Import.run[:fetch]).to be_cached }
        it("l") { expect(run_step(Import, :select, fetch: [1, 2], least: 2)).to succeed.with_output([2]) }
        it("m") { expect(run_step(Import, :load, select: [666])).to fail_with(IOError).and have_run.times(3) }
        it("n") { expect(run_step!(Import, :load, select: [1])).to eq(1) }
        it("o") { expect(Struct.new(:cached?).new(true)).to be_cached }
        it("p") { with_store { Import.run(given: { fetch: [1] }); expect(Flowline::History.runs.size).to eq(1) } }
        it("q") { expect(crash_everywhere(Import)).to be > 5 }
      RUBY
      expect(printed).to include("17 examples, 0 failures")
      expect(printed).not_to include("warning:")
      expect(status).to eq(0)
      expect(Dir.children(".")).to contain_exactly("import.rb", "import_spec.rb")
    end

    it "prints what a run failed with, where an expectation does not hold" do
      status, printed = rspec(<<~RUBY)
        it { expect(Import.run(given: { fetch: [666] })).to succeed }
        it { expect(Import.run).to succeed.with_output(:load, 7) }
        it { expect(Import.run).to fail_at(:load) }
        it { expect(Import.run).to have_run(:select).after(:load) }
        it { expect(Import.run).to have_run(:notify) }
        it { expect(Import.run).not_to have_run(:select, :notify) }
        it { expect(Import.run[:fetch]).to be_cached }
        it { expect(Import).to succeed }
        it { expect(Import.run).to succeed.with_output(:lod, 7) }
      RUBY
      expect(status).to eq(1)
      block = <<~TEXT.chomp
        ✗ step load failed after 3 attempts: IOError: down (import.rb:7)
        rows.include?(666) ? raise(IOError, "down") : rows.size
        attempt 3 of 3, after 1200.00s, inputs: select: Array (1)
        steps: 1 succeeded, 1 restored, 1 failed, 1 cancelled; not done: notify
      TEXT
      account = "fetch succeeded\nselect succeeded\nload succeeded\nnotify skipped (condition)"
      expect(failures(printed)).to eq(
        ["expected the run to succeed, but it failed\n\n#{block}",
         "expected the run to succeed with the output 7 of load, but the output of load is 2",
         "expected the run to fail at load, but it succeeded\n\n#{account}",
         "expected the run to have run select after load, but select started before load ended",
         "expected the run to have run notify, but notify skipped (condition), and was not called\n\n#{account}",
         "expected the run not to have run select, notify, but it did\n\n#{account}",
         "expected step fetch to be cached, but fetch succeeded",
         "expected the result of a run to succeed, but got Flowline::Pipeline; call run",
         "Flowline::UnknownStepError:\nthere is no step lod; did you mean load?"]
      )
    end

    it "works with the examples of rspec-rails" do
      skip "needs rspec-rails" unless Gem.loaded_specs.key?("rspec-rails") || ENV["CI"]

      status, printed = ruby("-e", <<~RUBY)
        require "action_controller/railtie"
        require "active_job/railtie"
        class App < Rails::Application
          config.eager_load = false
          config.logger = Logger.new(IO::NULL)
          config.active_job.queue_adapter = :test
          config.secret_key_base = "x" * 30
        end
        App.initialize!
        require "rspec/rails"
        require "rspec/autorun"
        require "flowline/rspec"
        require "import"
        class ImportJob < ActiveJob::Base
          include Flowline::Job
          pipeline "Import"
        end
        class RetriedJob < ActiveJob::Base
          include Flowline::Job
          pipeline "Import"
          retry_on Flowline::StepError, wait: 600, attempts: 3
        end
        RSpec.describe ImportJob, type: :job do
          it("raises what a job raises, after the retries of its class") do
            calls = 0
            Flowline.config.middleware.use(gate = Class.new { define_method(:call) { |_, &work| (calls += 1) < 3 ? raise(IOError, "down") : work.call } }.new)
            RetriedJob.perform_later
            expect(drain).to eq(3)
            calls = 0
            ImportJob.perform_later
            expect { drain }.to raise_error(Flowline::StepError, /down/)
            Flowline.config.middleware.delete(gate)
          end
          it("runs") { expect(Import.run).to succeed.with_output(:load, 2) }
          it("drains") do
            ran = []
            Flowline.config.middleware.use(Class.new { define_method(:call) { |attempt, &work| ran << attempt.step.name; work.call } }.new)
            ImportJob.perform_later(least: 20)
            ImportJob.set(wait: 3600).perform_later(least: 30)
            expect(drain).to eq(2)
            expect(ran).to eq(%i[fetch select load select load])
            expect(drain).to eq(0)
          end
        end
      RUBY
      expect(printed.lines.grep_v(/warning: /).join).to include("3 examples, 0 failures")
      expect(status).to eq(0)
    end

    it "performs jobs of Sidekiq that are held back" do
      skip "needs sidekiq" unless Gem.loaded_specs.key?("sidekiq") || ENV["CI"]

      File.write("import_spec.rb", <<~RUBY)
        require "sidekiq"
        require "sidekiq/testing"
        require "flowline/rspec"
        require "import"
        class ImportJob
          include Sidekiq::Worker
          include Flowline::Job
          pipeline "Import"
        end
        class OtherJob
          include Sidekiq::Worker
        end
        RSpec.describe "jobs" do
          it("drains") do
            ImportJob.perform_async(least: 20)
            OtherJob.perform_async
            expect(drain).to eq(1)
            expect(OtherJob.jobs.size).to eq(1)
          end
        end
        RSpec.describe "nothing to drain" do
          it { Sidekiq::Testing.disable! { expect { drain }.to raise_error(Flowline::Error, /Sidekiq::Testing.fake!/) } }
        end
      RUBY
      status, printed = ruby(Gem.bin_path("rspec-core", "rspec"), "--options", File::NULL, "import_spec.rb")
      expect(printed.lines.grep_v(/warning: /).join).to include("2 examples, 0 failures")
      expect(status).to eq(0)
    end
  end

  describe "with Minitest" do
    it "passes with every assertion, without sleeping and without a store" do
      status, printed = minitest(<<~RUBY)
        def broken = Import.run(given: { fetch: [666] })

        def test_success
          result = assert_succeeded(Import.run)
          assert_output_of result, :load, 2
          assert_output_of result[:load], 2
          assert_ran result, :load, after: :fetch, times: 1
          assert_skipped result, :notify, because: :condition
          refute_ran result, :notify
          refute_cached result, :fetch
          assert_cached Import.run, :fetch
        end

        def test_failure
          assert_failed_at broken, :load, IOError, /down/
          assert_failed_with broken, "down"
          refute_succeeded broken
          assert_restored broken, :fetch
          assert_ran broken, :load, times: 3
        end

        def test_step
          assert_output_of run_step(Import, :select, fetch: [1, 2], least: 2), [2]
          assert_equal 1, run_step!(Import, :load, select: [1])
          with_store { Import.run }
        end
      RUBY
      expect(printed).to match(/3 runs, \d+ assertions, 0 failures, 0 errors, 0 skips/)
      expect(printed.lines.grep(/warning:/).grep(%r{lib/flowline|import})).to be_empty
      expect(status).to eq(0)
      expect(Dir.children(".")).to contain_exactly("import.rb", "import_test.rb")
    end

    it "prints what a run failed with" do
      status, printed = minitest(<<~RUBY)
        def test_success = assert_succeeded(Import.run(given: { fetch: [666] }))
        def test_output = assert_output_of(Import.run, :load, 7)
        def test_refute = refute_ran(Import.run, :load)
      RUBY
      expect(status).to eq(1)
      expect(printed).to match(/expected the run to succeed, but it failed\n\n✗ step load failed after 3 attempts: IOError: down/)
      expect(printed).to include("expected the run to succeed with the output 7 of load, but the output of load is 2")
      expect(printed).to include("expected the run not to have run load, but it did")
    end

    it "works in tests that run in parallel threads" do
      status, printed = minitest(<<~RUBY)
        parallelize_me!
        8.times { |n| define_method(:"test_\#{n}") { assert_succeeded Import.run(executor: :parallel) } }
      RUBY
      expect([status, printed]).to match([0, /8 runs, 8 assertions, 0 failures, 0 errors/])
      expect(Dir.children(".")).to contain_exactly("import.rb", "import_test.rb")
    end
  end
end
