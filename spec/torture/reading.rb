# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require_relative "child"
require_relative "databases"
require_relative "tally"
require_relative "work"

module Torture
  # A step that opens, reads and closes every file below the working directory, as a backup or a search does; the store
  # is among them. Closing a file releases the POSIX record locks that the process has on it. Meanwhile another process asks
  # for the status and tries to resume: the run must be seen to be alive, and its end must be recorded.
  class Reading
    NAME = "reader"
    # The ways in which a step reads.
    WAYS = {
      "File.read" => ->(file) { File.read(file) }, "File.open" => ->(file) { File.open(file, "r+b") { |io| io.read(100) } },
      "cp" => ->(file) { system("cp", file, File::NULL) }, "FileUtils.cp" => ->(file) { FileUtils.cp(file, File::NULL) }
    }.freeze
    EXECUTORS = %i[sequential parallel process].freeze

    # @param count [Integer] tries
    def initialize(count: 60, random: Random.new)
      @count = count
      @random = random
    end

    # @yieldparam tally [Tally]
    # @return [void]
    def call
      tally = Tally.of("a step reads the whole store")
      WAYS.keys.product(EXECUTORS).shuffle(random: @random).cycle.first(@count).each do |way, executor|
        Dir.mktmpdir("torture") { |folder| tally.add(try(File.realpath(folder), way, executor)) }
      end
      yield tally
    end

    private

    def try(folder, way, executor)
      @folder = folder
      owner = Child.new { enter && own(way, executor) }
      wait_for("reading", owner)
      findings = looked
      FileUtils.touch("#{folder}/looked")
      findings.concat(owner.wait.findings("the run"))
      findings << [:wrong, "the run ended as #{owner.answer}"] unless owner.answer.nil? || owner.answer == "right"
      findings.concat(in_child { status == "succeeded" ? [] : [[:lost, "the end of the run: it is #{status}"]] })
      (findings + Databases.check(folder)).map { |kind, note| [kind, "#{way}, #{executor}: #{note}"] }
    end

    def enter
      Dir.chdir(@folder)
      ENV.delete("FLOWLINE_ROOT")
      Flowline.configure { |config| config.root = nil } # The default is below the working directory.
      Work.log = "log"
    end

    def in_child
      child = Child.call { enter && yield }
      child.answer.to_a + child.findings("the other process")
    end

    def own(way, executor)
      result = Torture::Reading.pipeline(way).run(executor: executor)
      return "#{result.status}: #{result.error&.message}" unless result.success?

      result.outputs.values_at(:size, :rest) == [Work::LARGE, Work::LARGE] ? "right" : "other outputs"
    end

    # Checks that the run counts as running, and cannot be resumed, while it is alive.
    def looked
      findings = in_child { status == "running" ? [] : [[:wrong, "the status is #{status} while it runs"]] }
      findings + in_child do
        Torture::Reading.pipeline(nil).run(resume: true)
        [[:wrong, "a run that is alive was resumed"]]
      rescue Flowline::LockedError
        []
      end
    end

    def status
      out = StringIO.new
      Flowline::CLI.start(["status", "--json"], out: out, err: StringIO.new)
      JSON.parse(out.string).dig(0, "status")
    end

    def wait_for(name, owner)
      sleep(0.002) until File.exist?("#{@folder}/#{name}") || !owner.alive?
    end

    class << self
      # Public, since its steps may run in other processes.
      # @param way [String, nil] how it reads; nil: not at all
      # @return [Flowline::Pipeline]
      def pipeline(way)
        reader = way
        Flowline.define(name: NAME) do |p|
          p.step(:large) { "x" * Work::LARGE }
          p.step(:size, depends_on: :large) do |large|
            reader ? Torture::Reading.read_all(reader) : Work.write("resumed")
            large.size
          end
          p.step(:rest, depends_on: :large, &:size)
        end
      end

      # @param way [String]
      # @return [void]
      def read_all(way)
        3.times { Dir.glob("**/*", File::FNM_DOTMATCH).each { |file| WAYS.fetch(way).call(file) if File.file?(file) } }
        FileUtils.touch("reading")
        sleep(0.002) until File.exist?("looked")
        Dir.glob("**/*", File::FNM_DOTMATCH).each { |file| WAYS.fetch(way).call(file) if File.file?(file) }
      end
    end
  end
end
