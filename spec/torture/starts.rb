# frozen_string_literal: true

require "tmpdir"
require_relative "child"
require_relative "databases"
require_relative "tally"
require_relative "work"

module Torture
  # Many processes or threads that start the same task at the same time, on a store that does not exist yet.
  class Starts
    MANY = 16
    # The tasks, and whether a task may find the store locked by another process.
    TASKS = { resume: ["run(resume: true)", true], run: ["run", false], file: ["Cache::File#fetch", false],
              memory: ["Cache::Memory#fetch", false] }.freeze

    # @param count [Integer] how often they start
    def initialize(count: 10)
      @count = count
    end

    # @yieldparam tally [Tally]
    # @return [void]
    def call
      %i[processes threads].product(TASKS.keys).each do |kind, task|
        next if kind == :processes && task == :memory

        tally = Tally.of("#{MANY} #{kind} start #{TASKS[task].first}")
        @count.times do
          Dir.mktmpdir("torture") do |folder|
            @folder = File.realpath(folder)
            (send(kind, task) << (sound(task) + Databases.check(@folder))).each { |findings| tally.add(findings) }
          end
        end
        yield tally
      end
    end

    private

    def enter
      Flowline.configure { |config| config.root = File.join(@folder, "store") }
      Work.log = File.join(@folder, "log")
      @memory = Flowline::Cache::Memory.new
    end

    def processes(task)
      reader, writer = IO.pipe
      children = Array.new(MANY) do
        Child.new do
          enter
          writer.close
          reader.read # Until the parent opens the barrier.
          perform(task)
        end
      end
      reader.close
      writer.close
      children.map { |child| child.wait.then { child.answer.to_a + child.findings("it") } }
    end

    def threads(task)
      owner = Child.call do
        enter
        barrier = Queue.new
        threads = Array.new(MANY) { Thread.new { barrier.pop || perform(task) } }
        Thread.pass until barrier.num_waiting == MANY
        barrier.close # All of them get nil at the same time.
        threads.map(&:value)
      end
      owner.answer || [owner.findings("the process")]
    end

    # @return [Array] findings
    def perform(task)
      case task
      when :resume, :run then judge(pipeline.run(resume: task == :resume))
      when :file then fetch(Flowline::Cache::File.new)
      when :memory then fetch(@memory)
      end
    rescue Flowline::LockedError => e
      TASKS[task].last ? [[:cut, ""]] : [[:wrong, e.message]]
    rescue StandardError => e
      [[:wrong, "#{e.class}: #{e.message}"]]
    end

    def judge(result)
      result.success? && result[:sum].output == Work::LARGE + 5 ? [] : [[:wrong, "#{result.status}: #{result.error&.message}"]]
    end

    # Logs its start and its end, so that two at the same time are found.
    def pipeline
      Flowline.define(name: "start", executor: :sequential) do |p|
        p.step(:a) { Work.write("start") && 5 }
        p.step(:large, depends_on: :a) { |_| "x" * Work::LARGE }
        p.step(:sum, depends_on: %i[a large]) { |a, large| (a + large.size).tap { Work.write("end") } }
      end
    end

    def fetch(cache)
      value = cache.fetch("key") { Work.write("computed") && (sleep(0.005) && "value") }
      value == "value" ? [] : [[:wrong, "another value"]]
    end

    def sound(task)
      Work.log = File.join(@folder, "log")
      lines = Work.lines
      case task
      when :resume then lines.each_slice(2).all? { |pair| pair == %w[start end] } ? [] : [[:wrong, "two ran at the same time"]]
      when :run then lines.size == 2 * MANY ? [] : [[:wrong, "#{lines.size} lines"]]
      else lines.size == 1 ? [] : [[:wrong, "computed #{lines.size} times"]]
      end
    end
  end
end
