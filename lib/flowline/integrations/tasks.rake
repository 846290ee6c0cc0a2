# frozen_string_literal: true

# The command line as tasks of a Rails application: rake "flowline:run[ImportPipeline,date=2024-01-31]"
namespace :flowline do
  command = lambda do |*arguments|
    require "flowline/cli"
    status = Flowline::CLI.start(arguments.compact)
    exit(status) unless status.zero? # Rake adds no message.
  end

  { run: "Run a pipeline", plan: "Show what a run would do, and why", resume: "Resume the latest run that did not succeed" }.each do |name, text|
    desc "#{text}; params are further arguments, as date=2024-01-31"
    task name, [:pipeline] => :environment do |_, arguments|
      params, others = arguments.to_a.partition { |argument| argument.include?("=") }
      command.call(name.to_s, *others, *params.flat_map { |pair| ["--param", pair] })
    end
  end

  { status: "Show the last run of every pipeline, or of one", history: "Show the latest runs, of all pipelines or of one" }.each do |name, text|
    desc text
    task(name, [:pipeline] => :environment) { |_, arguments| command.call(name.to_s, *arguments.to_a) }
  end

  desc "Cancel a run: running steps finish, and no further one starts"
  task(:cancel, [:run_id] => :environment) { |_, arguments| command.call("cancel", *arguments.to_a) }

  desc "List the pipelines of app/pipelines"
  task pipelines: :environment do
    Flowline.config.pipelines.sort_by(&:name).each { |pipeline| puts [pipeline.name, pipeline.description].compact.join("  # ") }
  end
end
