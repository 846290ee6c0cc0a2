# frozen_string_literal: true

require_relative "world"

module Fuzz
  # A pipeline and its runs, as data: it prints as code that {Plan.check} replays.
  #
  # - +name+: of the pipeline, or +nil+; +unique+: whether no two productions of an output are equal
  # - +steps+, by name: +deps+, and what {Definition#step} takes; +day+: whether it takes the param; +list+, or
  #   +:lazy+, which is never recorded in a store; +blind+: whether it ignores the outputs of its dependencies
  # - +runs+: +options+ of the run; +edits+ of steps' code, +rewire+ of dependencies, +broken+ steps, +flips+ of
  #   conditions, +clear+: whether the caches are cleared before
  class Scenario
    # @param random [Random]
    # @param number [Integer]
    # @return [Hash]
    def self.make(random, number)
      new(random).make(number)
    end

    def initialize(random)
      @random = random
    end

    # @return [Hash]
    def make(number)
      @steps = {}
      @random.rand(2..8).times { |n| @steps[:"s#{n}"] = step }
      named = chance(60)
      runs = Array.new(@random.rand(1..4)) { |n| run(n, named) }
      { name: ("fuzz #{number}" if named), unique: chance(50), steps: @steps, runs: runs }
    end

    private

    def chance(percent)
      @random.rand(100) < percent
    end

    def pick(*of)
      of[@random.rand(of.size)]
    end

    def some(list, percent)
      list.select { chance(percent) }
    end

    def step
      deps = some(@steps.keys, 100 / [@steps.size, 2].max).last(3)
      lists = deps.select { |name| @steps[name][:list] }
      step = { deps: deps }
      step[:each] = pick(*lists) if lists.any? && chance(60)
      step[:list] = pick(true, true, :lazy) if !step[:each] && chance(25)
      step[:day] = true if !step[:each] && chance(20)
      step[:blind] = true if !step[:each] && chance(8)
      step.merge(options(step))
    end

    def options(step)
      options = {}
      options[:cache] = pick(true, true, true, :ttl, :day, :inputs, :store) if chance(25)
      options[:skip_cache] = true if options[:cache] && chance(8)
      options[:checkpoint] = false if chance(12)
      options[:optional] = true if chance(12)
      options[pick(:when, :unless)] = pick(:yes, :no, :day, :flip, :flip, :inputs) if chance(18)
      options[:run_if] = pick(:any, :always) if step[:deps].any? && !step[:each] && chance(18)
      options
    end

    def run(number, named)
      names = @steps.keys
      run = { options: number.zero? && chance(80) ? common : common.merge(choice(names)) }
      run[:edits] = some(names, 15) if number.positive? && chance(40)
      run[:rewire] = rewire(pick(*names)) if number.positive? && named && chance(10)
      run[:broken] = broken(names) if chance(65)
      run[:flips] = some(names, 50)
      run[:clear] = true if chance(12)
      run
    end

    # Prefers the last steps, so that there is something to restore.
    def broken(names)
      (some(names, 5) | some(names.last(2), 40)).map { |name| @steps[name][:each] && chance(80) ? [name, pick(0, 1)] : name }
    end

    def rewire(name)
      [name, some(@steps[name][:deps], 60) | [@steps[name][:each]].compact]
    end

    def common
      options = { day: chance(92) ? 1 : 2 }
      options[:keep_checkpoint] = true if chance(55)
      options[:checkpoint] = false if chance(4)
      options[:cache] = false if chance(4)
      options[:skip_cache] = true if chance(4)
      options[:on_error] = :continue if chance(50)
      options[:executor] = :parallel if chance(4)
      options
    end

    def choice(names)
      case @random.rand(10)
      when 0..4 then { resume: true }
      when 5 then { only: selector(names) }
      when 6, 7 then { from: pick(*names) }
      when 8 then { resume: true, **pick({ only: selector(names) }, { from: pick(*names) }) }
      else pick({}, { only: selector(names), from: pick(*names) })
      end
    end

    def selector(names)
      chosen = Array.new(@random.rand(1..2)) { "#{pick("", "", "+")}#{pick(*names)}#{pick("", "", "+")}" }
      chosen.size == 1 ? chosen.first : chosen
    end
  end
end
