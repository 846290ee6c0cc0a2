# frozen_string_literal: true

require "fileutils"
require_relative "work"

module Torture
  # A use of a store: preparations before a fault, the calls that the fault strikes, and checks afterwards. Every store has
  # a bystander, a failed run of another pipeline, whose records must survive every fault.
  class Driver
    # The pipeline that the fault strikes, and the bystander.
    NAME = "struck"
    OTHER = "bystander"
    # Errors that may be raised when a file cannot be read or written.
    EXPECTED_ERRORS = [Flowline::StoreError, Flowline::CacheError].freeze

    class << self
      # @return [String] what the fault strikes
      attr_reader :label

      # @return [Array<Class>] all drivers
      def all
        @all ||= []
      end

      private

      def called(label)
        @label = label
        Driver.all << self
      end
    end

    # @return [String] the directory of this try
    attr_reader :folder

    # @param folder [String]
    def initialize(folder)
      @folder = folder
    end

    # @return [String] the directory of the store
    def store
      File.join(@folder, "store")
    end

    # Makes this process use the directory.
    # @return [void]
    def enter
      Flowline.configure { |config| config.root = store }
      Work.log = File.join(@folder, "log")
      Work.broken = false
      $stderr.reopen(File.join(@folder, "stderr"), "a")
      nil
    end

    # Prepares the store before the fault.
    # @return [void]
    def prepare
      fail_run(OTHER)
    end

    # Makes the calls that the fault strikes.
    # @return [String] "right", "refused: " and the error that says that the store or cache cannot be used, or what is wrong
    def act
      attempt
    rescue *EXPECTED_ERRORS => e
      "refused: #{e.class} #{e.message}"
    end

    # Looks for lost and wrong records, in a process without a fault.
    # @return [Array<Array(Symbol, String)>]
    def check
      ran = Work.started(NAME)
      findings = (ran & recorded_before).map { |step| [:lost, "#{step} ran again under the fault"] }
      findings.concat(resumed(NAME, ran + recorded_before)).concat(resumed(OTHER, bystander))
    end

    private

    # Every dependency of a step that has started is acknowledged.
    def acknowledged(started)
      dag = Work.pipeline(nil, label: NAME).dag
      started.flat_map { |step| dag[step].depends_on }.uniq
    end

    # @return [Array<Symbol>] steps of NAME that were recorded before the fault and must never run again
    def recorded_before
      []
    end

    # @return [Array<Symbol>] steps of OTHER that are recorded
    def bystander
      Work::BEFORE_JOIN
    end

    def fail_run(name)
      Work.broken = true
      result = Work.pipeline(name).run
      raise "#{name} was to fail, but #{result.status}: #{result.error&.message}" unless result[:join].failed?
    ensure
      Work.broken = false
    end

    def judge(result, name)
      return "refused: #{result.error.class}" if EXPECTED_ERRORS.any? { |type| type === result.error }
      return "#{result.status}: #{result.error&.message}" unless result.success?

      Work.write("returned #{result.status}")
      result.outputs == Work.outputs(name) ? "right" : "other outputs"
    end

    # Resumes a run as its user would.
    def resumed(name, started)
      status = status_of(name)
      known = Flowline::Checkpoint.latest(name)&.step_names.to_a | acknowledged(started)
      FileUtils.rm_f(Work.log)
      result = Work.pipeline(name, keep: true).run(resume: true)
      again = status == "succeeded" ? [] : known & Work.started(name) # After a success a run starts from the beginning.
      findings = again.map { |step| [:lost, "#{step} of #{name} ran again on resume"] }
      findings << [:wrong, "#{name} is still running"] if status == "running"
      findings << [:wrong, "#{name} resumed: #{result.status} #{result.error&.message}"] unless result.success?
      findings << [:wrong, "#{name} resumed with other outputs"] if result.success? && result.outputs != Work.outputs(name)
      findings
    end

    def status_of(name)
      out = StringIO.new
      code = Flowline::CLI.start(["status", "--json", "--pipeline", name], out: out, err: out)
      raise "flowline status ended with #{code}: #{out.string}" unless out.string.include?("[")

      JSON.parse(out.string[/^\[.*\]$/m]).dig(0, "status")
    end
  end
end
