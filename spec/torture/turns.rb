# frozen_string_literal: true

require "tmpdir"
require_relative "child"
require_relative "databases"
require_relative "tally"

module Torture
  # From 2 to 16 processes or threads, released by a barrier, that start runs which exclude each other. The run lasts until all
  # others have an answer. Exactly one runs; the others raise a LockedError that names no other process than the one that runs.
  #
  # In a part of the rounds the run ends at once. A caller that came before it ran is refused even then.
  class Turns
    CALLERS = (2..16)
    # The options of the runs.
    OPTIONS = { "resume: true" => { resume: true }, "exclusive: true" => { exclusive: true }, "exclusive: :params" => { exclusive: :params },
                "resume: true without params" => { resume: true, params: {} } }.freeze
    # Seconds within which all others have an answer.
    PATIENCE = 15

    # @param count [Integer] rounds
    # @param random [Random]
    def initialize(count: 1_000, random: Random.new)
      @count = count
      @random = random
    end

    # @yieldparam tally [Tally]
    # @return [void]
    def call
      tallies = %i[processes threads short].product(OPTIONS.keys).to_h { |kind, option| [[kind, option], Tally.of("2 to 16 #{kind} start #{option}")] }
      @count.times do |round|
        kind, option = tallies.keys[round % tallies.size]
        Dir.mktmpdir("torture") do |folder|
          @folder = File.realpath(folder)
          tallies[[kind, option]].add(round(kind, option) + Databases.check(@folder).flatten(1))
        end
      end
      tallies.each_value { |tally| yield tally if tally.tries.positive? }
    end

    private

    # @return [Array] findings
    def round(kind, option)
      callers = @random.rand(CALLERS)
      return short(callers, option) if kind == :short

      failed = @random.rand < 0.5
      answers = kind == :processes ? processes(callers, option, failed) : threads(callers, option, failed)
      judge(answers, callers)
    end

    # @return [Array] by caller, the status of its run, or the process that the LockedError names
    def processes(callers, option, failed)
      Child.call { prepare(failed) }
      barrier, opens = IO.pipe
      ends, over = IO.pipe
      children = Array.new(callers) do
        Child.new do
          [opens, over].each(&:close)
          barrier.read # Until the parent opens the barrier.
          attempt(option) { ends.read }
        end
      end
      [barrier, opens].each(&:close)
      limit = now + PATIENCE
      sleep(0.001) until children.count(&:alive?) <= 1 || now > limit
      [ends, over].each(&:close)
      children.map { |child| child.wait.then { child.findings("a caller").first || [*child.answer, child.pid] } }
    end

    def threads(callers, option, failed)
      owner = Child.call do
        prepare(failed)
        barrier, over, answers = Array.new(3) { Queue.new }
        threads = Array.new(callers) do
          Thread.new { barrier.pop || attempt(option) { over.pop }.then { |answer| answers << [*answer, Process.pid] } }
        end
        Thread.pass until barrier.num_waiting == callers
        barrier.close # All of them get nil at the same time.
        limit = now + PATIENCE
        sleep(0.001) until answers.size >= callers - 1 || now > limit
        over.close
        threads.each(&:join)
        Array.new(callers) { answers.pop }
      end
      owner.answer || owner.findings("the process")
    end

    # Each caller says when it called and when its step was called. The store is new in half of the rounds. A caller says
    # itself since when it counts, as the command line does: it may be stopped for long between a look at the clock and the call.
    def short(callers, option)
      Child.call { prepare(false) || Flowline.define(name: "other") { |p| p.step(:a) { 1 } }.run } if @random.rand < 0.5
      barrier, opens = IO.pipe
      children = Array.new(callers) do
        Child.new do
          opens.close
          barrier.read
          ran = nil
          called = now
          answer = Flowline::Recording::Trigger.with("ruby", since: called) { attempt(option) { ran = now } }
          [*answer, called, ran]
        end
      end
      [barrier, opens].each(&:close)
      judge_short(children.map { |child| child.wait.then { child.findings("a caller").first || child.answer } })
    end

    def judge_short(answers)
      odd = answers.reject { |status,| %i[succeeded locked].include?(status) }
      return odd.map { |answer| [:wrong, answer.inspect] } if odd.any?

      ran = answers.select { |status,| status == :succeeded }.sort_by(&:last)
      return [[:wrong, "none ran"]] if ran.empty?

      ran.each_cons(2).select { |(*, first), (*, called, _)| called < first }.map { [:wrong, "#{ran.size} of #{answers.size} ran"] }
    end

    # In half of the rounds there is a run to resume.
    def prepare(failed)
      enter
      pipeline { raise "down" }.run(day: 1) if failed
    end

    def enter
      Flowline.configure { |config| config.root = File.join(@folder, "store") }
    end

    # @return [Array(Symbol, Integer)]
    def attempt(option, &body)
      enter
      given = OPTIONS.fetch(option)
      result = pipeline(&body).run(**given, **(given.key?(:params) ? {} : { day: 1 }))
      [result.status, nil]
    rescue Flowline::LockedError => e
      [:locked, e.pid]
    end

    def pipeline
      Flowline.define(name: "turn", executor: :sequential) do |p|
        p.param :day, default: 1
        p.step(:first) { 1 }
        p.step(:last, depends_on: :first) { |_| yield && nil }
      end
    end

    def judge(answers, callers)
      odd = answers.reject { |status,| %i[succeeded locked].include?(status) }
      return odd.map { |answer| [:wrong, answer.inspect] } if odd.any?

      ran, refused = answers.partition { |status,| status == :succeeded }
      findings = ran.one? ? [] : [[:wrong, "#{ran.size} of #{callers} ran"]]
      named = refused.map { |_, pid,| pid }.compact.uniq - ran.map(&:last)
      named.empty? ? findings : [*findings, [:wrong, "LockedError names process #{named.first}"]]
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
