# frozen_string_literal: true

module Flowline
  module CLI
    # +flowline run FILE+: runs a pipeline.
    class Run < Command
      # What it does, for the list of commands.
      SUMMARY = "run a pipeline"
      # How it is called.
      EXAMPLE = "flowline run import.rb --param date=2024-01-31 --verbose"

      private

      def declare(parser)
        @params = {}
        parser.on("--param NAME=VALUE", "a param of the pipeline; may be given several times") { |pair| param(pair) }
        parser.on("--resume", "take up the last run if it did not succeed; without params: with its params") { @options[:resume] = true }
        parser.on("--from STEP", "run this step again, and everything downstream") { |step| @options[:from] = step }
        parser.on("--only STEPS", "run only these: a,b  +a (and upstream)  a+ (and downstream)  tag:x") do |steps|
          @options[:only] = steps.split(",")
        end
        parser.on("--executor NAME", "where steps run: #{Executor.names.join(", ")}") { |name| @options[:executor] = name }
        parser.on("--max-threads N", Integer, "how many steps at a time: parallel") { |count| @options[:max_threads] = count }
        parser.on("--max-processes N", Integer, "how many steps at a time: process") { |count| @options[:max_processes] = count }
        parser.on("--json", "events on standard output, a JSON object a line") { @options[:json] = true }
        parser.on("--verbose", "also say the params, and the backtrace through your code") { @options[:verbose] = true }
        parser.on("--quiet", "say only what failed") { @options[:quiet] = true }
      end

      def hint(argument)
        "; a param is given as --param #{argument}" if argument.match?(/\A\w+=/)
      end

      def param(pair)
        name, value = pair.split("=", 2)
        raise Usage, "run: --param #{pair} has no value; write --param #{pair}=VALUE" if value.nil?
        raise Usage, "run: --param #{name} is given twice" if @params.key?(name)

        @params[name] = value
      end

      def work(file)
        name, pipeline = file.choose(@options[:pipeline])
        @command = ["flowline run #{file.path} --resume", *again(name), *secrets(pipeline)].join(" ") if Flowline.config.store
        file.guard { start(pipeline, name, { params: @params, **@options.slice(:executor, :max_threads, :max_processes, :resume, :from, :only) }) }
      rescue Usage => e
        raise e unless e.cause.is_a?(ParamError) && e.cause.problems.grep(/param /).any?

        raise Usage, "#{e.message}#{e.cause.problems.one? ? "; " : "\n"}params are given as --param NAME=VALUE"
      end

      # What is not recorded.
      def again(name)
        given = { pipeline: (name if @options[:pipeline]), **@options.slice(:executor, :max_threads, :max_processes) }.compact
        given.map { |option, value| "--#{option.to_s.tr("_", "-")} #{value}" }
      end

      # They are not recorded, either.
      def secrets(pipeline)
        pipeline.params.values.select { |param| param.secret? && @params.key?(param.name.name) }.map { |param| "--param #{param.name}=…" }
      end

      # What was asked for, and has no effect.
      def misunderstood(pipeline)
        executor = (@options[:executor] || pipeline.settings[:executor] || Flowline.config.executor).to_s
        { max_threads: "parallel", max_processes: "process" }.each do |option, whose|
          next if @options[option].nil? || executor == whose

          @err.puts("flowline: --#{option.to_s.tr("_", "-")} is for --executor #{whose}; this run has #{executor}")
        end
        @err.puts("flowline: --resume: the pipeline has no name:, so nothing of it was recorded") if @options[:resume] && pipeline.name.nil?
      end

      def start(pipeline, name, options)
        misunderstood(pipeline)
        $stdout.sync = true # What steps write stands between our own lines, wherever it goes.
        result, signal = Signals.wait(pipeline.start(reporter: reporters(name), **options), @err)
        return result.success? ? 0 : 1 if signal.nil? || result.success?

        Signals.say(@err, "flowline: stopped by SIG#{signal}")
        128 + Signal.list.fetch(signal)
      end

      def reporters(name)
        console = Reporter::Console.new(@err, title: name, resume: @command, verbose: @options[:verbose], steps: !@options[:quiet])
        return [console] unless @options[:json]

        @options[:verbose] ? [Reporter::JSON.new(@out), console] : [Reporter::JSON.new(@out)]
      end
    end
  end
end
