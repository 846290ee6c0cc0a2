# frozen_string_literal: true

namespace :fuzz do
  desc "Compare plans with runs, and outputs with their inputs, in COUNT (10000) random scenarios, from SEED"
  task plan: :compile do
    $LOAD_PATH.unshift("lib")
    require_relative "../spec/fuzz/plan"
    count = Integer(ENV.fetch("COUNT", 10_000))
    seed = Integer(ENV.fetch("SEED", Random.new_seed % 1_000_000_000))
    puts "SEED=#{seed}"
    found, tally = Fuzz::Plan.run(count, seed) { |number| print("\r#{number + 1}") if $stdout.tty? && (number % 100 == 99) }
    found.first(10).each { |number, scenario, differences| puts Fuzz::Plan.show(number, scenario, differences) }
    puts "#{count} scenarios, #{found.size} with differences; #{tally.map { |how, times| "#{times} #{how}" }.join(", ")}"
    abort "A plan and its run differ." if found.any?
  end
end
