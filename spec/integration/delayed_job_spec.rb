# frozen_string_literal: true

# Real workers of delayed_job, whose queue is a table.
RSpec.describe "Jobs of delayed_job" do
  include JobApp::Examples

  before do
    gems = %w[activejob delayed_job_active_record sqlite3]
    skip "needs #{gems.join(", ")}" unless ENV["CI"] || gems.all? { |name| Gem::Specification.find_all_by_name(name).any? }
  end

  after { @app&.close }

  let(:app) { @app = JobApp.new(source) }

  let(:source) { <<~RUBY }
    require "active_record"
    require "active_job"
    require "delayed_job_active_record"
    require "flowline"

    ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: "jobs.sqlite3", timeout: 20_000)
    unless ActiveRecord::Base.connection.table_exists?(:delayed_jobs)
      ActiveRecord::Base.connection.create_table(:delayed_jobs) do |table|
        table.integer :priority, default: 0
        table.integer :attempts, default: 0
        table.text :handler
        table.text :last_error
        %i[run_at locked_at failed_at created_at updated_at].each { |name| table.datetime name }
        %i[locked_by queue].each { |name| table.string name }
      end
    end
    ActiveJob::Base.queue_adapter = :delayed_job
    ActiveJob::Base.logger = ActiveSupport::Logger.new("active_job.log")
    Delayed::Worker.sleep_delay = 0.1
    Delayed::Worker.raise_signal_exceptions = :term if ENV["RAISING"]

    #{JobApp::IMPORT}
    class ImportJob < ActiveJob::Base
      include Flowline::Job
      pipeline Import
    end

    def work(name)
      worker = Delayed::Worker.new(quiet: false)
      worker.name = name
      worker.start
    end
  RUBY

  # Starts a worker.
  def worker(name = "one")
    app.start("-r./app.rb", "-e", "work(ARGV.first)", name)
  end

  def push
    client("ImportJob.perform_later(date: Date.new(2024, 1, 31)).job_id")
  end

  # @return [Array<Array>] of each job in the queue the id, the attempts, and the worker that has locked it
  def queued
    client("Delayed::Job.all.map { |job| [job.payload_object.job_data['job_id'], job.attempts, job.locked_by] }")
  end

  let(:all_once) { ["pages", "1", "2", "3", "4", "5", "6", start_with("sum 210")] }
  let(:third_twice) { ["pages", "1", "2", "3", "3", "4", "5", "6", start_with("sum 210")] }

  it "stop a map in good order on TERM, and the next delivery calls only the items that are left" do
    id = push
    pid = worker
    await_call("3")
    Process.kill(:TERM, pid)
    await_cancelling
    app.touch("go")
    expect(app.wait(pid)).to be_success
    await_runs(:cancelled)
    expect(queued).to eq([[id, 0, nil]])
    worker
    await_runs(:cancelled, :succeeded)
    expect(app.calls).to match(all_once)
    expect(app.runs.map(&:job)).to eq([id, id])
  end

  it "are interrupted at once where delayed_job raises on TERM, and the next attempt repeats that item" do
    app.env["RAISING"] = "1"
    id = push
    pid = worker
    await_call("3")
    app.end_worker(pid)
    await_runs(:cancelled)
    expect(queued).to eq([[id, 1, nil]])
    app.touch("go")
    client("Delayed::Job.update_all(run_at: Time.now)")
    worker
    await_runs(:cancelled, :succeeded)
    expect(app.calls).to match(third_twice)
  end

  it "resume after kill -9 when a worker with the same name starts; another one has to wait until the lock expires" do
    id = push
    pid = worker
    await_call("3")
    app.end_worker(pid, :KILL)
    expect(queued).to eq([[id, 0, "one"]])
    app.touch("go")
    client("worker = Delayed::Worker.new; worker.name = 'two'; worker.work_off")
    expect(queued).to eq([[id, 0, "one"]])
    worker
    await_runs(:crashed, :succeeded)
    app.await("an empty queue") { queued.empty? }
    expect(app.calls).to match(third_twice)
  end

  it "resume after kill -9 when the lock has expired" do
    push
    pid = worker
    await_call("3")
    app.end_worker(pid, :KILL)
    app.touch("go")
    client("Delayed::Job.update_all(locked_at: Time.now - Delayed::Worker.max_run_time - 60)")
    worker("two")
    await_runs(:crashed, :succeeded)
    expect(app.calls).to match(third_twice)
  end

  it "fail with the error of the step, and resume in the next attempt" do
    app.touch("go")
    app.touch("bad")
    push
    worker
    await_runs(:failed)
    error = app.await("the failed job") { client("Delayed::Job.where('attempts > 0').first&.last_error") }
    expect(error).to start_with("step sum failed: RuntimeError: no sum (")
    FileUtils.rm(app.path("bad"))
    client("Delayed::Job.update_all(run_at: Time.now)")
    await_runs(:failed, :succeeded)
    expect(app.calls.size).to eq(9)
  end
end
