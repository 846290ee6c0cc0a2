# frozen_string_literal: true

require "tmpdir"
require_relative "scenario"

# Random scenarios. Each can be replayed from the code that is printed for it.
module Fuzz
  # Compares plans with the runs that follow them, and outputs with the inputs from which they were made.
  class Plan
    # The outcomes that a planned action allows. A step may also be cancelled or skipped because another one failed.
    ENDS = { run: %i[succeeded failed], restore: %i[restored], reuse: %i[cached], skip: %i[skipped] }.freeze
    # Options of a step that are not those of {Scenario}.
    PLAIN = %i[skip_cache checkpoint optional run_if each].freeze
    private_constant :ENDS, :PLAIN

    class << self
      # @param count [Integer]
      # @param seed [Integer]
      # @param first [Integer] the number of the first scenario
      # @yieldparam number [Integer] after each one
      # @return [Array(Array<Array>, Hash)] numbers, scenarios and their differences; the number of steps by outcome
      def run(count, seed, first: 0)
        tally = Hash.new(0)
        found = (first...(first + count)).filter_map do |number|
          scenario = Scenario.make(Random.new(seed + number), number)
          differences = check(scenario, tally)
          yield number if block_given?
          [number, scenario, differences] if differences.any?
        end
        [found, tally]
      end

      # @param scenario [Hash]
      # @return [Array<String>] the differences of the first run that has any
      def check(scenario, tally = Hash.new(0))
        within_store { new(scenario, tally).differences }
      end

      # @return [String] the differences as a comment, and the scenario as code that replays it
      def show(number, scenario, differences)
        [*differences.map { |text| "# #{number}: #{text}" }, "puts Fuzz::Plan.check(#{scenario})"].join("\n")
      end

      private

      def within_store(&block)
        before = ENV.fetch("FLOWLINE_ROOT", nil)
        Dir.mktmpdir do |folder|
          ENV["FLOWLINE_ROOT"] = folder
          block.call
        end
      ensure
        ENV["FLOWLINE_ROOT"] = before
      end
    end

    # @param scenario [Hash]
    # @param tally [Hash]
    def initialize(scenario, tally)
      @scenario = scenario
      @tally = tally
      @steps = scenario[:steps].transform_values(&:dup)
      @editions = @steps.transform_values { 0 }
      @edit = {}
      World.caches = { run: Flowline::Cache::Memory.new, store: Flowline::Cache::Memory.new }
      @pipeline = define
    end

    # @return [Array<String>]
    def differences
      @scenario[:runs].each_with_index do |run, number|
        prepare(run)
        differences = compare(run[:options])
        return differences.map { |text| "run #{number}: #{text}" } if differences.any?
      end
      []
    end

    private

    def prepare(run)
      World.state = { unique: @scenario[:unique], broken: run[:broken] || [], flips: run[:flips] }
      World.caches.each_value(&:clear) if run[:clear]
      (run[:edits] || []).each { |name| @edit[name].call(@editions[name] += 1) }
      return unless run[:rewire]

      name, deps = run[:rewire]
      @steps[name] = @steps[name].merge(deps: deps)
      @pipeline = define
    end

    def define
      Flowline.define(**{ name: @scenario[:name], cache: World.caches[:run] }.compact) do |p|
        p.param :day, type: :integer
        @steps.each { |name, step| p.step(name, block(name, step), depends_on: step[:deps], **options(name, step)) }
      end
    end

    # The block captures only its name and the edition of its code.
    def block(name, step)
      edition = @editions[name]
      @edit[name] = ->(number) { edition = number }
      kind = { true => :list, :lazy => :lazy }.fetch(step[:list], :make)
      if step[:each] then ->(item, **given) { World.map(name, edition, item, given) }
      elsif step[:blind] then step[:day] ? ->(day:) { World.public_send(kind, name, edition, day, {}) } : -> { World.public_send(kind, name, edition, nil, {}) }
      elsif step[:day] then ->(day:, **given) { World.public_send(kind, name, edition, day, given) }
      else
        ->(**given) { World.public_send(kind, name, edition, nil, given) }
      end
    end

    def options(name, step)
      conditions = step.slice(:when, :unless).transform_values do |kind|
        kind == :inputs ? ->(ctx, **given) { World.ask(kind, name, ctx, given) } : ->(ctx) { World.ask(kind, name, ctx, nil) }
      end
      { **step.slice(*PLAIN), **conditions, cache: cache(step) }.compact
    end

    def cache(step)
      case step[:cache]
      when :ttl then { ttl: 60 }
      when :day then { key: step[:each] ? ->(item, day:) { [item, day] } : ->(day:) { day } }
      when :inputs then { key: step[:each] ? ->(item, **given) { [item, given] } : ->(**given) { given } }
      when :store then { store: World.caches[:store] }
      else step[:cache]
      end
    end

    def compare(options)
      plan = attempt { @pipeline.run(dry_run: true, **options) }
      result = attempt { @pipeline.run(**options) }
      return refusals(plan, result) if plan.is_a?(Flowline::Error) || result.is_a?(Flowline::Error)

      @selection = Flowline::Planning::Selection.new(@pipeline.dag, options[:only], options[:from])
      again = @last && plan.to_h[:resumes] == @last.run_id && options[:resume] && !options[:only] && !options[:from]
      found = result.steps.flat_map do |step|
        @tally[step.status] += 1
        @tally[:unknown] += 1 if plan[step.name].action == :unknown
        [ending(plan, result, step, options), (made(result, step, options) if step.output?), (failure(step) if step.failed?),
         unheeded(step, options), (needless(result, step) if again)].compact
      end
      @last = (result unless options[:checkpoint] == false)
      found
    end

    # A step of the selection that was called or came from a cache has conditions that hold. One that was restored had them then.
    def unheeded(ended, options)
      name = ended.name
      return unless %i[succeeded cached].include?(ended.status) && @selection.wanted?(@pipeline.dag.index[name])

      conditions = @steps[name].slice(:when, :unless).reject { |_, kind| kind == :inputs }
      held = conditions.all? { |word, kind| World.ask(kind, name, options, nil) == (word == :when) }
      "#{name} is #{ended.status} although its condition does not hold" unless held
    end

    # A step that the earlier run completed is not called again for the same inputs. After a failure, clean-up runs again.
    def needless(result, ended)
      step = @steps[ended.name]
      before = @last[ended.name]
      return unless @scenario[:unique] && ended.status == :succeeded && %i[succeeded restored].include?(before.status)
      return if step[:checkpoint] == false || step[:list] == :lazy || step[:blind] || keyed?(step)
      return if step[:deps].any? { |name| @steps[name][:list] == :lazy || !(result[name].output? || result[name].skipped?) }

      tell = ->(output) { productions(step, output).map { |made| made.values_at(1, 2, 4..) } }
      "#{ended.name} was called again for the same" if tell.call(before.output) == tell.call(ended.output)
    end

    def attempt
      yield
    rescue Flowline::CheckpointError => e
      e
    end

    def failure(step)
      error = step.error.respond_to?(:original) ? step.error.original : step.error
      error.message unless error.is_a?(World::Broken)
    end

    # Compares the error of a plan with that of its run. They may differ if a step has a key:, because only the computation of
    # a key finds that an output is missing.
    def refusals(plan, result)
      @tally[:refused] += 1
      return [] if plan.class == result.class && plan.step_names == result.step_names
      return [] if result.is_a?(Flowline::Error) && @steps.each_value.any? { |step| keyed?(step) }

      ["the plan is #{plan.inspect}, the run is #{result.inspect}"]
    end

    def keyed?(step)
      %i[day inputs].include?(step[:cache])
    end

    def ending(plan, result, step, options)
      planned = plan[step.name]
      ended = "#{step.name} is planned as #{planned.action} (#{planned.reason}) and #{step.status} #{step.reason}"
      return (ended unless uncertain?(plan, step.name, options)) if planned.action == :unknown

      ended unless ENDS[planned.action].include?(step.status) || (planned.action != :restore && failure_before?(result, step))
    end

    # Whether its outcome is due to a failure.
    def failure_before?(result, step)
      return result.failed? if step.status == :cancelled

      step.reason == :upstream_skipped && @steps[step.name][:deps].any? do |name|
        (result[name].failed? && @steps[name][:optional]) || failure_before?(result, result[name])
      end
    end

    # Whether its outcome depends on something that is unknown before the run: a condition, the inputs of a key, the output
    # of a step that is cached once it has run, or whether an optional step fails.
    def uncertain?(plan, name, options)
      step = @steps[name]
      cached = step[:cache] && !step[:each] && !step[:skip_cache] && options[:cache] != false && !options[:skip_cache]
      return true if step[:when] || step[:unless] || (cached && keyed?(step))

      step[:deps].any? do |dependency|
        before = @steps[dependency]
        action = plan[dependency].action
        action == :unknown || (action == :run && (cached || before[:cache] || before[:optional]))
      end
    end

    # Compares an output with the edition, day and inputs that it was made of. Skips steps with a key: and steps outside the
    # selection, because their outputs may be made of earlier inputs.
    def made(result, ended, options)
      name = ended.name
      step = @steps[name]
      return if keyed?(step) || !@selection.wanted?(@pipeline.dag.index[name])

      made = productions(step, ended.output)
      missed = step[:deps].select { |input| result[input].status == :cancelled } # The run ended before these steps.
      given = step[:blind] ? {} : (step[:deps] - [step[:each]] - missed).to_h { |input| [input, World.id(result[input].output)] }
      day = options[:day] if step[:day]
      wrong = made.find { |_, edition, with, _, of| edition != @editions[name] || with != day || !same?(result, of.to_h.except(*missed), given) }
      return "#{name} is #{ended.status} as #{wrong.inspect}, and the run has #{[@editions[name], day, given].inspect}" if wrong

      "#{name} is #{ended.status} of other items" if step[:each] && result[step[:each]].output? && made.map(&:last) != result[step[:each]].output.to_a.map { |item| World.id(item) }
    end

    # Returns the parts of an output that contain its inputs.
    def productions(step, output)
      return output if step[:each]

      step[:list] ? output.to_a.last(1) : [output]
    end

    # An output that is left out cannot be compared.
    def same?(result, made_of, given)
      made_of.keys == given.keys && made_of.all? { |name, id| result[name].reason == :not_selected || id == given[name] }
    end
  end
end
