# frozen_string_literal: true

desc <<~TEXT.lines.map(&:chomp).join(" ")
  Torture the store: TORTURE=steps,kills,errors,pauses,forks,reading,storms,clocks,starts,turns (all), COUNT=tries of each kind
  (every call), DRIVER=part of a driver's name, SEED, LIMIT=seconds of a child (20), JOBS=processes (processors)
TEXT
task torture: :compile do
  require_relative "../spec/torture/launch"
  names = ENV.fetch("TORTURE", "steps,kills,errors,pauses,forks,reading,storms,clocks,starts,turns").split(",")
  seed = ENV.fetch("SEED") { Random.new_seed.to_s }
  bad = []
  $stdout.sync = true
  puts "SEED=#{seed}", Torture::HEAD
  Torture::Launch.call(names, { "SEED" => seed }) do |tally|
    puts tally, tally.most_frequent(Integer(ENV.fetch("NOTES", 10)))
    bad << tally.fault unless tally.clean?
  end
  abort "Something was lost, wrong or stuck: #{bad.join("; ")}" if bad.any?
end
