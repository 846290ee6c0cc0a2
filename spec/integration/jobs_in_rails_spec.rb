# frozen_string_literal: true

# Jobs in a Rails application: its workers load the classes late, reload them, and share the pool of database connections.
RSpec.describe "Jobs of a Rails application", :rails do
  include Processes

  # The third of six items waits until there is a file.
  let(:files) do
    { "app/pipelines/import.rb" => <<~RUBY, "app/jobs/import_job.rb" => <<~JOB, "config/initializers/calls.rb" => <<~CALLS }
      class Import < Flowline::Pipeline
        param :date, type: :date, required: true
        step(:pages) { (1..6).to_a }
        step :load, each: :pages, concurrency: 1 do |page|
          Calls.add("\#{page} \#{ActiveRecord::Base.connection.select_value("SELECT 1")}")
          Calls.wait_for("go") if page == 3
          page
        end
        step(:sum, depends_on: :load) { |pages, date:| Calls.add("sum \#{pages.sum} \#{date}") }
      end
    RUBY
      class ImportJob < ApplicationJob
        include Flowline::Job
        pipeline Import
      end
    JOB
      module Calls
        FOLDER = Rails.root.join("tmp")
        def self.add(line) = File.write(FOLDER.join("calls"), "\#{line}\\n", mode: "a")

        def self.wait_for(name)
          limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 60
          sleep 0.01 until File.exist?(FOLDER.join(name)) || Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit
        end
      end
      Flowline::Execution::Coordinator.prepend(Module.new { def cancel(*) = super.tap { File.write(Calls::FOLDER.join("cancelling"), "") } })
    CALLS
  end

  def calls(app)
    File.exist?(app.path("tmp/calls")) ? app.read("tmp/calls").lines(chomp: true) : []
  end

  def runs(app, environment)
    Flowline::History.runs(root: app.path("storage/flowline/#{environment}")).reverse
  end

  def await(what, worker)
    limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + RailsApp::LIMIT
    until yield
      raise "not in time: #{what}\n#{worker.output}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

      sleep(0.02)
    end
  end

  # Stops the worker while the third item is called, starts another one, and waits for the end of the run.
  # @yieldreturn [RailsApp::Server] the worker
  def stop_and_resume(app, environment)
    worker = yield
    await("the third item", worker) { calls(app).include?("3 1") }
    Process.kill(:TERM, worker.pid)
    await("the stop", worker) { File.exist?(app.path("tmp/cancelling")) }
    FileUtils.touch(app.path("tmp/go"))
    expect(worker.status).to be_success
    expect([calls(app), runs(app, environment).map(&:status)]).to eq([["1 1", "2 1", "3 1"], [:cancelled]])
    worker = yield
    await("the end", worker) { runs(app, environment).last.status == :succeeded }
    expect(calls(app)).to eq(["1 1", "2 1", "3 1", "4 1", "5 1", "6 1", "sum 21 2024-01-31"])
    worker
  end

  context "with Sidekiq" do
    before do
      missing = [("redis-server" unless RedisServer.there?), *%w[sidekiq redis].select { |name| Gem::Specification.find_all_by_name(name).empty? }].compact
      skip "needs #{missing.join(" and ")}" unless missing.empty? || ENV["CI"]

      @redis = RedisServer.new
    end

    after { @redis&.stop }

    let(:env) { { "REDIS_URL" => @redis.url, "RAILS_LOG_TO_STDOUT" => nil } }
    let(:app) { rails_app(files).gem("sidekiq").configure("config.active_job.queue_adapter = :sidekiq") }

    def sidekiq(environment)
      app.spawn("bundle", "exec", "sidekiq", "-c", "2", "-e", environment, env: { **env, "RAILS_ENV" => environment })
    end

    def push(code, environment)
      app.runner(code, env: { **env, "RAILS_ENV" => environment }).output!
    end

    %w[development production].each do |environment|
      it "stop a map in good order on TERM in the environment #{environment}, and the next delivery calls only the items that are left" do
        push("ImportJob.perform_later(date: Date.new(2024, 1, 31))", environment)
        stop_and_resume(app, environment) { sidekiq(environment) }
        expect(app.read("log/#{environment}.log")).to match(/\[ImportJob\] \[\S+\] \[Flowline\] \[Import\] \[\S+\] \[load\] succeeded/)
      end
    end

    it "are stopped as native jobs of Sidekiq as well, and take changed code when their classes are reloaded" do
      app.write("app/jobs/import_job.rb" => <<~RUBY)
        class ImportJob
          include Sidekiq::Job
          include Flowline::Job
          pipeline Import
        end
      RUBY
      push("ImportJob.perform_async(date: Date.new(2024, 1, 31))", "development")
      worker = stop_and_resume(app, "development") { sidekiq("development") }

      app.write("app/pipelines/import.rb" => app.read("app/pipelines/import.rb").sub("sum \#{pages.sum}", "total \#{pages.sum}"))
      push("ImportJob.perform_async(date: Date.new(2024, 2, 1))", "development")
      await("the second job", worker) { calls(app).last == "total 21 2024-02-01" }
    end
  end
end
