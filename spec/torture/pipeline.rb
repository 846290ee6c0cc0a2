# frozen_string_literal: true

# A pipeline to be killed at any moment. Its outputs are fixed, and every step says in a file that it was called, so what
# a killed run had done, and what the next one did again, can be told from outside.
module Torture
  CALLS = "calls"
  # Steps that kill their process before or after their own work: +"large:before"+.
  KILL = "FLOWLINE_TORTURE_KILL"

  module_function

  def pipeline(folder)
    Flowline.define(name: "torture") do |p|
      step = lambda do |name, **options, &block|
        p.step(name, **options) do |*inputs|
          Torture.called(folder, name)
          block.call(*inputs).tap { Torture.kill(name, "after") }
        end
      end
      step.call(:seed) { 7 }
      4.times { |n| step.call(:"part#{n}", depends_on: :seed) { |seed| (1..(seed + n)).to_a } }
      step.call(:large, depends_on: :seed) { |seed| Random.new(seed).bytes(400_000) }
      step.call(:flaky, depends_on: :seed, retries: 2) { |seed| File.exist?("#{folder}/flaky") ? seed * 3 : File.write("#{folder}/flaky", "") && raise(IOError) }
      step.call(:join, depends_on: %i[part0 part1 part2 part3]) { |*parts| parts.flatten.sum }
      step.call(:digest, depends_on: :large) { |bytes| bytes.sum }
      step.call(:nothing, depends_on: :join) { |_| nil }
      step.call(:total, depends_on: %i[join digest flaky nothing]) { |*all| all.compact.sum }
    end
  end

  # One write to a file opened to append: whole or not at all.
  def called(folder, name)
    File.write("#{folder}/#{CALLS}", "#{name}\n", mode: "a")
    kill(name, "before")
  end

  def kill(name, moment)
    return unless ENV[KILL] == "#{name}:#{moment}"

    Process.kill(:KILL, Process.pid)
    sleep
  end
end
