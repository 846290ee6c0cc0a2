# frozen_string_literal: true

require "flowline"
require "flowline/cli"
require "json"
require "stringio"

module Torture
  # A pipeline of a dozen steps, fanned out and in, with outputs small and large (beyond 256 KB they are files), and a
  # step that fails at first. Each step first writes its name to a log. As a program, this file runs the pipeline.
  module FanOut
    NAME = "tortured"
    LARGE = 300_000

    class << self
      # A step named in KILL_BEFORE or KILL_AFTER kills its process before or after its body.
      # @param log [String]
      # @return [Flowline::Pipeline]
      def pipeline(log, name: NAME)
        step = lambda do |p, step, **options, &body|
          p.step(step, **options) do |*inputs|
            File.open(log, File::WRONLY | File::CREAT | File::APPEND) { |file| file.syswrite("#{step}\n") }
            Process.kill(:KILL, Process.pid) if ENV["KILL_BEFORE"] == step.to_s
            body.call(*inputs).tap { Process.kill(:KILL, Process.pid) if ENV["KILL_AFTER"] == step.to_s }
          end
        end
        Flowline.define(name: name, keep_checkpoint: true) { |p| steps(p, step) }
      end

      # @return [Array<Symbol>]
      def step_names
        pipeline(File::NULL).dag.steps.map(&:name)
      end

      # @return [Hash{Symbol => Object}] the outputs of an undisturbed run
      def outputs
        pipeline(File::NULL, name: nil).run!.outputs
      end

      # @return [Array<Hash{String => Object}>] the runs in the store, the latest first
      def history
        out, err = StringIO.new, StringIO.new
        code = Flowline::CLI.start(["history", "--json", "--limit", "1000000"], out: out, err: err)
        raise "flowline history ended with #{code}: #{err.string}" unless code.zero?

        JSON.parse(out.string)
      end

      private

      def steps(p, step)
        step.call(p, :rows) { |_| [*1..200] }
        3.times do |n|
          step.call(p, :"small#{n}", depends_on: :rows) { |rows| rows.sum * (n + 1) }
          step.call(p, :"large#{n}", depends_on: :"small#{n}") { |sum| (sum + n).to_s.ljust(LARGE, "#{n}-") }
        end
        flaky(p, step)
        step.call(p, :join, depends_on: %i[large0 large1 large2 flaky]) { |*all| all.last.to_s + all[0..2].join }
        step.call(p, :size, depends_on: :join, &:size)
        step.call(p, :nothing, depends_on: :size) { |_| nil }
        step.call(p, :last, depends_on: %i[nothing size]) { |_, size| { size: size, done: true } }
      end

      def flaky(p, step)
        tries = 0
        step.call(p, :flaky, depends_on: :rows, retries: 2, retry_strategy: :linear, retry_delay: 0.003) do |rows|
          (tries += 1) < 3 ? raise(IOError, "not yet") : rows.last
        end
      end
    end
  end
end

Torture::FanOut.pipeline(ARGV.fetch(0)).run!(resume: ARGV[1] == "resume") if $PROGRAM_NAME == __FILE__
