# frozen_string_literal: true

require "json"

RSpec.describe "Flowline in a Rails application", :rails do
  # Files of applications.
  def pipeline(text)
    { "app/pipelines/import_pipeline.rb" => "class ImportPipeline < Flowline::Pipeline\n#{text}\nend\n" }
  end

  def routes(text)
    { "config/routes.rb" => "Rails.application.routes.draw do\n#{text}\nend\n" }
  end

  def controller(text)
    { "app/controllers/runs_controller.rb" => "class RunsController < ActionController::Base\n#{text}\nend\n" }
  end

  # Runs code in the application, and returns the value of its last line.
  def ask(app, code, **env)
    output = app.runner("puts \"\\n>\" + JSON.generate([(#{code}\n)])", env: env).output!
    JSON.parse(output[/^>(.*)/, 1]).first
  end

  describe "its settings" do
    let(:code) { "[Flowline.config.root, Flowline.config.reporter, Flowline.config.executor]" }

    it "has a store for each environment, and logs runs" do
      app = rails_app
      expect(ask(app, code)).to eq([app.path("storage/flowline/development"), "logger", ENV.fetch("FLOWLINE_EXECUTOR", "sequential")])
      expect(ask(app, code, RAILS_ENV: "production").first).to eq(app.path("storage/flowline/production"))
      expect(ask(app, code, FLOWLINE_ROOT: "/tmp/elsewhere").first).to eq("/tmp/elsewhere")
    end

    it "are those of Flowline.config, under config.flowline" do
      app = rails_app("config/initializers/flowline.rb" => <<~RUBY).configure("config.flowline.root = \"tmp/runs\"")
        Rails.application.config.flowline.executor = :parallel
        Flowline.configure { |config| config.reporter = false }
      RUBY
      expect(ask(app, code)).to eq(["tmp/runs", false, "parallel"])
    end

    it "refuses a setting that does not exist when the application boots" do
      outcome = rails_app.configure("config.flowline.rot = 1").runner("1")
      expect(outcome).not_to be_success
      expect(outcome.output).to match(/undefined method `rot='/)
    end

    it "uses Rails.cache if that is the cache" do
      app = rails_app(pipeline("options cache: :rails\nstep(:a, cache: true) { rand }"))
      app.configure("config.flowline.cache = :rails\nconfig.cache_store = :file_store, \"tmp/cache\"")
      values = "[ImportPipeline.run.outputs[:a], Flowline.define(name: \"other\") { step(:a, cache: true) { rand } }.run[:a].output]"
      expect(ask(app, values, RAILS_ENV: "production")).to eq(ask(app, values, RAILS_ENV: "production"))
    end
  end

  describe "app/pipelines" do
    it "is loaded on demand, and changed code takes effect while names stay" do
      app = rails_app(**pipeline("step(:a) { 1 }\nstep(:b, depends_on: :a) { |a| raise \"down\" }"), **routes("get '/run', to: 'runs#run'"),
                      **controller("def run\nresult = ImportPipeline.run(resume: true)\nrender plain: [result.status, result.outputs].to_s\nend"))
      app.server do |server|
        expect(server.get("/run").body).to eq("[:failed, {:a=>1}]")
        app.write(pipeline("step(:a) { 1 }\nstep(:b, depends_on: :a) { |a| a + 1 }"))
        expect(server.get("/run").body).to eq("[:succeeded, {:a=>1, :b=>2}]")
      end
      runs = "Flowline::History.runs.map { |run| [run.pipeline, run.status, run.step(:a).status] }"
      expect(ask(app, runs)).to eq([%w[ImportPipeline succeeded restored], %w[ImportPipeline failed succeeded]])
    end

    it "is loaded and built when an application boots that loads everything" do
      app = rails_app(pipeline("step(:a) { 1 }"))
      built = "ObjectSpace.each_object(Flowline::Pipeline).map(&:name)"
      expect(ask(app, built, RAILS_ENV: "production")).to eq(["ImportPipeline"])
      expect(ask(app, built)).to eq([])
      app.write(pipeline("step(:a) { 1 }\nstep(:a) { 2 }"))
      outcome = app.runner("puts 1", env: { RAILS_ENV: "production" })
      expect(outcome).not_to be_success
      expect(outcome.output).to include("step a is defined twice: ")
    end

    it "ends the boot of an application that loads everything if a step depends on one that does not exist, unless others complete it" do
      app = rails_app("app/pipelines/import_pipeline.rb" => "class ImportPipeline < BasePipeline\nstep(:fetch) { 1 }\ninclude ReportPart\nend",
                      "app/pipelines/base_pipeline.rb" => "class BasePipeline < Flowline::Pipeline\nstep(:load, depends_on: :fetch) { 1 }\nend",
                      "app/pipelines/report_part.rb" => "ReportPart = Flowline.define { step(:report, depends_on: :load) { 1 } }")
      expect(ask(app, "ImportPipeline.run.status", RAILS_ENV: "production")).to eq("succeeded")
      app.write("app/pipelines/export_pipeline.rb" => "class ExportPipeline < Flowline::Pipeline\nstep(:a, depends_on: :b) { 1 }\nend",
                "app/pipelines/total.rb" => "Total = Flowline.define(name: \"total\") { step(:sum, depends_on: :rows) { 1 } }")
      outcome = app.runner("puts 1", env: { RAILS_ENV: "production" })
      expect(outcome).not_to be_success
      expect(outcome.output).to include("step a depends on b, which doesn't exist").and include("step sum depends on rows, which doesn't exist")
    end
  end

  it "logs runs with tags" do
    app = rails_app(pipeline(<<~RUBY))
      param :token, secret: true
      param :day, type: :date
      step(:fetch) { |ctx| ctx.log.warn("page 1 of \#{ctx[:token]}"); [1, 2] }
      step(:load, depends_on: :fetch, retries: 1) { |_, ctx| raise IOError, "no \#{ctx[:token]}" }
    RUBY
    app.runner("ImportPipeline.run(token: \"hunter2\", day: \"2024-01-31\")", env: { RAILS_ENV: "test" }).output!
    log = app.read("log/test.log")
    id = log[/\d{8}T\d{6}-\h{8}/]
    lines = log.lines.grep(/Flowline/).map { |line| line.chomp.gsub(/\d\.\d\ds/, "0.00s") }
    expect(lines).to eq([
                          "[Flowline] [ImportPipeline] [#{id}] started (day: 2024-01-31)",
                          "[Flowline] [ImportPipeline] [#{id}] [fetch] started",
                          "[Flowline] [ImportPipeline] [#{id}] [fetch] page 1 of [secret]",
                          "[Flowline] [ImportPipeline] [#{id}] [fetch] succeeded in 0.00s, 2 records",
                          "[Flowline] [ImportPipeline] [#{id}] [load] started",
                          "[Flowline] [ImportPipeline] [#{id}] [load] attempt 1 failed: IOError: no [secret]; again at once",
                          "[Flowline] [ImportPipeline] [#{id}] [load] failed after 2 attempts in 0.00s: IOError: no [secret] (app/pipelines/import_pipeline.rb:5)",
                          "[Flowline] [ImportPipeline] [#{id}] failed in 0.00s: 1 succeeded, 1 failed; run(resume: \"#{id}\") resumes it"
                        ])
    expect(app.runner("ImportPipeline.run(day: nil, reporter: nil)").output!).to eq("")
    expect(File.exist?(app.path("log/development.log")) ? app.read("log/development.log") : "").not_to include("[Flowline]")
  end

  describe "its threads" do
    it "lets a request end whose pipeline runs in threads while code changes" do
      app = rails_app("app/models/thing.rb" => "class Thing; def self.value = 1; end\n")
      app.write(pipeline(<<~'RUBY')).write(routes("get '/run', to: 'runs#run'\nget '/value', to: 'runs#value'")).write(controller(<<~'RUBY'))
        4.times { |i| step(:"s#{i}") { sleep(0.5); Thing.value } }
        step(:lazy) { (1..2).lazy.map(&:itself) }
        step(:each, each: :lazy) { |i| i }
      RUBY
        def value = render(plain: Thing.value.to_s)
        def run = render(plain: ImportPipeline.run(executor: :parallel, max_threads: 2).status.to_s)
      RUBY
      app.server do |server|
        server.get("/value")
        run = Thread.new { server.get("/run").body }
        server.await("[s0] started")
        app.write("app/models/thing.rb" => "class Thing; def self.value = 2; end\n")
        value = Thread.new { server.get("/value").body }
        expect([run.join(RailsApp::LIMIT)&.value, value.join(RailsApp::LIMIT)&.value]).to eq(%w[succeeded 2])
      end
    end

    it "has no more threads than database connections, unless it is said, which is warned of" do
      app = rails_app(pipeline("8.times { |i| step(:\"s\#{i}\") { ActiveRecord::Base.connection.select_value(\"SELECT \#{i}\"); sleep(0.02); Thread.current.object_id } }"))
      code = <<~RUBY
        usual = ImportPipeline.run(executor: :parallel)
        wide = ImportPipeline.run(executor: :parallel, max_threads: 8)
        pool = ActiveRecord::Base.connection_pool
        [pool.size, usual.status, usual.warnings, usual.outputs.values.uniq.size < pool.size, wide.status, wide.warnings, pool.stat.values_at(:busy, :waiting)]
      RUBY
      warning = "up to 8 steps run at a time, and the database pool has 4 connections for them, and 1 for the thread that runs the pipeline; " \
                "set pool: 9 in config/database.yml, or max_threads: 4"
      expect(ask(app, code)).to eq([5, "succeeded", [], true, "succeeded", [warning], [0, 0]])
    end

    it "leaves connections and current attributes of no step to the next one" do
      app = rails_app("app/models/current.rb" => "class Current < ActiveSupport::CurrentAttributes\nattribute :user\nend\n",
                      **pipeline("hook = ->(*) { ActiveRecord::Base.connection }\nbefore_step(&hook)\n" \
                                 "step(:a) { Current.user = 1 }\nstep(:b, depends_on: :a) { |a| [a, Current.user, ActiveRecord::Base.connection_pool.active_connection? ? 1 : 0] }"))
      code = <<~RUBY
        within = Rails.application.executor.wrap { ImportPipeline.run(executor: :parallel, max_threads: 1).outputs[:b] }
        ActiveRecord::Base.connection_pool.release_connection
        [within, ImportPipeline.start(executor: :parallel).wait.outputs[:b].first(2), ImportPipeline.start.wait.outputs[:b].first(2),
         ActiveRecord::Base.connection_pool.stat[:busy]]
      RUBY
      expect(ask(app, code)).to eq([[1, nil, 0], [1, nil], [1, nil], 0])
    end

    it "fails a step by the exception of its block, which Rails does not report as its own" do
      app = rails_app(pipeline("step(:a, retries: 1) { raise IOError, \"down\" }\nstep(:slow, timeout: 0.1) { sleep }"))
      code = <<~RUBY
        reported = []
        Rails.error.subscribe(Class.new { define_method(:report) { |error, **| reported << error.class.name } }.new) if Rails.respond_to?(:error)
        result = ImportPipeline.start(executor: :parallel, on_error: :continue).wait
        [result[:a].error.original.class.name, result[:a].attempts, result[:a].error.location, result[:slow].status, reported]
      RUBY
      expect(ask(app, code)).to eq(["IOError", 2, app.path("app/pipelines/import_pipeline.rb:2"), "timed_out", []])
    end
  end

  describe "its command line" do
    let(:app) do
      rails_app(pipeline(<<~RUBY)).write("config/initializers/flowline.rb" => "Rails.application.config.flowline.root = Rails.root.join(\"tmp/runs\")\n", "lib/ignored.rb" => "")
        options description: "Imports orders"
        param :date, type: :date, required: true
        step(:env) { Rails.env }
        step(:load, depends_on: :env) { |env, ctx| File.exist?("down") ? raise("down") : puts("\#{env} \#{ctx[:date]}") }
      RUBY
    end

    def flowline(*arguments, **options)
      app.run("ruby", "-I#{RailsApp::FLOWLINE}/lib", "#{RailsApp::FLOWLINE}/exe/flowline", *arguments, **options)
    end

    it "knows the pipelines of the application by name, and its store" do
      app.write("down" => "")
      failed = flowline("run", "ImportPipeline", "--param", "date=2024-01-31", env: { RAILS_ENV: "test" })
      expect([failed.status.exitstatus,
              failed.output]).to match([1,
                                        %r{: down \(app/pipelines/import_pipeline.rb:5\).*Resume with: flowline resume #{app.folder}/app/pipelines/import_pipeline.rb \S+ --root #{app.path("tmp/runs")}$}m])
      FileUtils.rm(app.path("down"))
      expect(flowline("resume", "--quiet", env: { RAILS_ENV: "test" }).output).to eq("test 2024-01-31\n")
      expect(flowline("history").output!).to match(/\AImportPipeline +succeeded .* resumed .*\nImportPipeline +failed/)
      Dir.mkdir(app.path("tmp/deep"))
      expect(app.run("sh", "-c", "cd tmp/deep && ruby -I#{RailsApp::FLOWLINE}/lib #{RailsApp::FLOWLINE}/exe/flowline status").output!).to match(/ImportPipeline +succeeded/)
      expect(flowline("history", "--no-rails").output).to match(/there is no store at .*\.flowline/)
      wrong = flowline("run", "Import")
      expect([wrong.status.exitstatus, wrong.output]).to eq([2, "flowline: no file and no pipeline of the application is called Import; its pipelines are ImportPipeline\n"])
    end

    it "shows the store of the application on the web page if no file is named" do
      web = ->(*arguments) { app.spawn("ruby", "-I#{RailsApp::FLOWLINE}/lib", "#{RailsApp::FLOWLINE}/exe/flowline", "web", "--port", "0", *arguments) }
      web.call.await(/shows the runs in #{app.path("tmp/runs")};/)
      web.call("--root", "elsewhere").await(%r{shows the runs in \S*/elsewhere;})
      web.call("--no-rails").await(%r{shows the runs in \S*/\.flowline;})
    end

    it "is there as tasks of rake" do
      rake = ->(*arguments) { app.run("bin/rails", *arguments).output! }
      expect(rake.call("flowline:pipelines")).to eq("ImportPipeline  # Imports orders\n")
      expect(rake.call("flowline:run[ImportPipeline,date=2024-01-31]")).to match(%r{^✓ load.*Steps: 2/2}m).and include("development 2024-01-31\n")
      expect(rake.call("flowline:status[ImportPipeline]")).to match(/\AImportPipeline +succeeded/)
      wrong = app.run("bin/rails", "flowline:run[ImportPipeline,date=soon]")
      expect([wrong.status.exitstatus, wrong.output]).to eq([2, "flowline: param date must be a date such as 2024-01-31, not \"soon\"; params are given as --param NAME=VALUE\n"])
    end
  end

  it "runs pipelines in the workers of a server that forks after it has loaded the application" do
    app = rails_app(**pipeline("step(:pid) { Process.pid }\n2.times { |i| step(:\"s\#{i}\") { i } }"), **routes("get '/run', to: 'runs#run'"),
                    **controller("def run = render(json: [Process.ppid, *ImportPipeline.run!(executor: :parallel, context: { pid: Process.pid }).outputs.values])"),
                    "config/initializers/run.rb" => "Rails.application.config.after_initialize { ImportPipeline.run!(context: { at: :boot }) }\n")
    app.write("config/puma.rb" => "workers 2\npreload_app!\nthreads 1, 2\n")
    app.server("bundle", "exec", "puma", "-b", "tcp://127.0.0.1", env: { RAILS_ENV: "production" }) do |server|
      answers = Array.new(6) { JSON.parse(server.get("/run").body) }
      expect(answers.map(&:first).uniq).to eq([server.pid])
      expect(answers.map { |answer| answer.drop(2) }).to all(eq([0, 1]))
    end
    expect(ask(app, "Flowline::History.runs.map(&:status).tally", RAILS_ENV: "production")).to eq("succeeded" => 7 + 1)
  end

  it "shares the data of a transactional test with the threads of a pipeline" do
    app = rails_app(**pipeline("3.times { |i| step(:\"s\#{i}\") { Order.create!(total: i); Order.count } }\nstep(:sum, depends_on: %i[s0 s1 s2]) { |_| Order.sum(:total) }"),
                    "app/models/order.rb" => "class Order < ActiveRecord::Base; end\n",
                    "db/schema.rb" => "ActiveRecord::Schema.define(version: 1) { create_table(:orders) { |t| t.integer :total } }\n",
                    "test/models/import_test.rb" => <<~RUBY)
                      require "test_helper"
                      class ImportTest < ActiveSupport::TestCase
                        2.times do |round|
                          test "runs in threads \#{round}" do
                            assert_equal 0, Order.count
                            Order.create!(total: 10)
                            3.times { |time| assert_equal 10 + 3 * (time + 1), ImportPipeline.run!(executor: :parallel).outputs[:sum] }
                            assert_equal 10, Order.count
                          end
                        end
                        test "runs in a background thread" do
                          Order.create!(total: 20)
                          assert_equal 23, ImportPipeline.start.wait.outputs[:sum]
                        end
                      end
                    RUBY
    app.write("test/test_helper.rb" => app.read("test/test_helper.rb").sub(/^ *parallelize.*/, "").sub(/^ *fixtures.*/, ""))
    app.run("bin/rails", "db:schema:load", env: { RAILS_ENV: "test" }).output!
    expect(app.run("bin/rails", "test").output!).to match(/3 runs, 11 assertions, 0 failures, 0 errors/)
  end
end
