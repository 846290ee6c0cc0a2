# frozen_string_literal: true

desc "Kill runs and resume them, at every step and KILLS (300) times at random; RUNS (50) runs in each of PROCESSES (8) on one store"
task torture: :compile do
  $LOAD_PATH.unshift("lib")
  require_relative "../spec/torture/kills"
  kills = Torture::Kills.new
  random = Random.new(Integer(ENV.fetch("SEED", Random.new_seed)))
  puts "SEED=#{random.seed}", Torture::Kills::HEAD
  count = ->(name, default) { Integer(ENV.fetch(name, default)) }
  trials = [-> { kills.at_boundaries }, -> { kills.at_random(count.call("KILLS", 300), random: random) },
            -> { kills.together(count.call("PROCESSES", 8), count.call("RUNS", 50)) }]
  tallies = trials.map do |trial|
    tally = trial.call
    puts tally
    tally.notes.first(10).each { |note| puts "  #{note.inspect[0, 300]}" }
    tally
  end
  abort "Work was lost, or came out wrong." if tallies.any? { |tally| (tally.lost + tally.wrong).positive? }
end
