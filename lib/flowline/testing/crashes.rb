# frozen_string_literal: true

require "fileutils"
require "tmpdir"

module Flowline
  module Testing
    # Runs a pipeline once undisturbed, and then once for each moment: the run is killed there, with +kill -9+, and resumed.
    #
    # A moment is just before, or just after, something is recorded: the beginning of the run, a step, an item, its end. A run goes
    # on in a forked child with a store of its own, in which {Moments} counts them and kills the child when its moment has come. A
    # second child resumes the run in the same store. Both write to one file which steps they called, and which were recorded.
    # @api private
    class Crashes
      autoload :Child, "#{__dir__}/crashes/child"
      autoload :Moments, "#{__dir__}/crashes/moments"

      # @param pipeline [Pipeline, Class]
      # @param arguments [Hash] as for {Pipeline#run}
      # @param limit [Integer] the moments that are tried at most
      # @param before [#call, nil] called before every run that is not resumed
      # @param compared [#call, nil] returns what is compared of a result
      def initialize(pipeline, arguments, limit:, before:, compared:)
        @pipeline = Pipeline.from(pipeline) || raise(ArgumentError, "crash_everywhere: #{TypeHints.describe(pipeline)} is no pipeline")
        raise Error, "crash_everywhere needs fork, which this Ruby does not have" unless ::Process.respond_to?(:fork)
        raise Error, "crash_everywhere needs a pipeline with a name: others are not recorded; add name: to Flowline.define" unless @pipeline.name

        @arguments = arguments
        @limit = limit
        @before = before
        @compared = compared || :outputs.to_proc
        @problems = []
      end

      # @return [Integer] how many moments were tried
      # @raise [CrashError]
      def call
        undisturbed = in_store { |root| run(root, before: @before) }
        raise Error, "crash_everywhere: the run fails without being killed: #{undisturbed.error}" unless undisturbed.success?

        moments = undisturbed.moments
        chosen = choose(moments.size)
        chosen.each { |at| in_store { |root| try(root, at, undisturbed) } }
        raise CrashError.new(@problems, chosen.size, moments.size) if @problems.any?

        chosen.size
      end

      private

      def in_store(&block)
        Dir.mktmpdir("flowline-crash", &block)
      end

      # @return [Array<Integer>] the moments to try: all, or some of them evenly
      def choose(count)
        return (0...count).to_a if count <= @limit

        Array.new(@limit) { |index| index * (count - 1) / [@limit - 1, 1].max }.uniq
      end

      def run(root, kill_at: nil, before: nil, **options)
        Child.new(@pipeline, root, { **@arguments, **options }, kill_at: kill_at, before: before, compared: @compared).call
      end

      # @param undisturbed [Child::Answer]
      def try(root, at, undisturbed)
        killed = run(root, kill_at: at, before: @before)
        return unless killed.killed? # Fewer moments than without: steps ran in another order.

        resumed = run(root, resume: true)
        why = problem(resumed, undisturbed) || repeated(root)
        @problems << "killed #{killed.moments.last}: #{why}" if why
      end

      # @return [String, nil] how a run that was resumed differs
      def problem(resumed, undisturbed)
        return "the resumed run failed: #{resumed.error}" unless resumed.success?

        difference(undisturbed.value, resumed.value) unless same?(undisturbed.value, resumed.value)
      end

      def difference(expected, actual)
        return "the result is #{show(actual)}, not #{show(expected)}" unless expected.is_a?(Hash) && actual.is_a?(Hash)

        name = (expected.keys | actual.keys).find { |key| !same?(expected[key], actual[key]) || expected.key?(key) != actual.key?(key) }
        "#{@pipeline.dag.index.key?(name) ? "the output of step " : ""}#{Name.show(name.to_s)} is #{show(actual[name])}, not #{show(expected[name])}"
      end

      # Equal values may be of a class without +==+.
      def same?(expected, actual)
        return true if expected == actual

        digest = Identity::Digest.try(expected)
        !digest.nil? && digest == Identity::Digest.try(actual)
      end

      def show(value)
        TypeHints.excerpt(value)
      end

      # Returns whether a step was called again that was recorded. Steps that are not to be recorded, and what follows them, may be.
      # @return [String, nil]
      def repeated(root)
        lines = File.readlines(Child.calls(root), chomp: true)
        recorded = {}
        lines.each do |line|
          kind, name, item = line.split("\t")
          recorded[[name, item]] = kind unless kind == "called"
          next unless kind == "called" && recorded.key?([name, item]) && recordable?(name.to_sym)

          why = recorded[[name, item]] == "recorded" ? "although it was recorded" : "because its output could not be recorded"
          return "#{"item #{item.to_i + 1} of " if item}step #{Name.show(name)} was called again, #{why}"
        end
        nil
      end

      def recordable?(name)
        @pipeline.dag.upstream(name).none? { |other| @pipeline.dag[other].options[:checkpoint] == false }
      end
    end
  end
end
