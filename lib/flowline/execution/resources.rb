# frozen_string_literal: true

require_relative "demands"

module Flowline
  module Execution
    # The pools that the steps of a pipeline share, and their rates: +pool+, +uses:+ and +rate:+.
    # @api private
    class Resources
      # The largest number that the core accepts.
      MOST = (2**32) - 1
      SECONDS = { "s" => 1.0, "m" => 60.0, "h" => 3600.0, "d" => 86_400.0 }.freeze
      # Options that take or ask for something.
      ASKING = %i[uses rate concurrency].freeze
      private_constant :SECONDS, :ASKING

      # @return [Demands] the attempts at a time that the steps ask for
      attr_reader :demands
      # @return [Array<DefinitionError>] pools that are missing or too small; an including pipeline may declare them
      attr_reader :problems

      # @param steps [Array<Step>]
      # @param pools [Hash{Symbol => Integer}]
      def initialize(steps, pools)
        @pools = pools
        @problems = []
        @needs = []
        @demands = Demands.new
        steps.each_with_index { |step, id| add(step, id) unless step.options.empty? || ASKING.none? { |option| step.options[option] } }
        [@problems, @needs].each(&:freeze)
      end

      # Passes the pools and rates to a run.
      # @param run [Native::Run]
      # @return [void]
      def share(run)
        run.share(@pools.values.map { |size| most(size) }, @needs) unless @needs.empty?
      end

      # @param graph [Native::Graph]
      # @param seconds [Array<Float>] by step
      # @param workers [Integer]
      # @return [Array(Float, Float, Integer)] the seconds that a run takes with that many workers and with any number of them, and the
      #   least number of workers with which it is as fast as with any
      def schedule(graph, seconds, workers)
        graph.schedule(seconds, @needs, @pools.values.map { |size| most(size) }, most(workers))
      end

      private

      def add(step, id)
        taken = amounts(step.options[:uses]).select { |name, amount| fits?(step, name, amount) }
        @demands.add(step, taken, @pools)
        return unless step.options[:uses] || step.options[:rate]

        count, unit = step.options[:rate].to_s.match(Definition::Options::RATE)&.captures
        @needs << [id, taken.map { |name, amount| [@pools.keys.index(name), most(amount)] }, count && most(count.to_i), SECONDS[unit]]
      end

      def most(number)
        [number, MOST].min
      end

      def amounts(uses)
        return uses.transform_keys { |name| Name.of(name) } if uses.is_a?(Hash)

        Name.list(uses).to_h { |name| [name, 1] }
      end

      def fits?(step, name, amount)
        size = @pools[name]
        return true if size && amount <= size

        what = size ? "#{amount} of pool #{Name.show(name)}, which has #{size}" : "pool #{Name.show(name)}, which doesn't exist"
        way_out = size ? "; make it larger" : Name.suggest(name, @pools.keys, known: "declare it with `pool`; there are")
        @problems << DefinitionError.new("step #{Name.show(step.name)} uses #{what}#{way_out}", location: step.location)
        false
      end
    end
  end
end
