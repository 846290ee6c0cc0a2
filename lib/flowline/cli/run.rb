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
        parser.on("--executor NAME", "where steps run: #{Executor::NAMES.keys.join(", ")}") { |name| @options[:executor] = name }
        parser.on("--json", "events on standard output, a JSON object a line") { @options[:json] = true }
        parser.on("--verbose", "also say the params, and the backtrace through your code") { @options[:verbose] = true }
        parser.on("--quiet", "say only what failed") { @options[:quiet] = true }
      end

      def param(pair)
        name, value = pair.split("=", 2)
        raise Usage, "run: --param #{pair} has no value; write --param #{pair}=VALUE" if value.nil?
        raise Usage, "run: --param #{name} is given twice" if @params.key?(name)

        @params[name] = value
      end

      def work(file)
        name, pipeline = file.choose(@options[:pipeline])
        result = file.guard { pipeline.run(params: @params, reporter: reporters(name), **@options.slice(:executor)) }
        result.success? ? 0 : 1
      rescue Usage => e
        raise e unless e.cause.is_a?(ParamError) && e.cause.problems.grep(/param /).any?

        raise Usage, "#{e.message}#{e.cause.problems.one? ? "; " : "\n"}params are given as --param NAME=VALUE"
      end

      def reporters(name)
        console = Reporter::Console.new(@err, title: name, verbose: @options[:verbose], steps: !@options[:quiet])
        return [console] unless @options[:json]

        @options[:verbose] ? [Reporter::JSON.new(@out), console] : [Reporter::JSON.new(@out)]
      end
    end
  end
end
