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
        @wide = []
        @demands = Demands.new
        steps.each_with_index do |step, id|
          next if step.options.empty?

          add(step, id) if ASKING.any? { |option| step.options[option] }
          @wide << [id, width(step)] if step.each
        end
        [@problems, @needs, @wide].each(&:freeze)
      end

      # Passes the pools and rates to a run.
      # @param run [Native::Run]
      # @return [void]
      def share(run)
        run.share(@pools.values.map { |size| most(size) }, @needs) unless @needs.empty?
      end

      # A step with +each:+ is expected to take as long as it did, with as many items at a time as these workers call.
      # @param graph [Native::Graph]
      # @param seconds [Array<Float>] by step
      # @param workers [Integer]
      # @return [Array(Float, Float, Integer)] the seconds that a run takes with that many workers and with any number of them, and the
      #   least number of workers with which it is as fast as with any
      def schedule(graph, seconds, workers)
        wide = @wide.map { |id, width| [id, [width, workers].min] }
        graph.schedule(seconds, @needs, @pools.values.map { |size| most(size) }, wide, most(workers))
      end

      private

      def add(step, id)
        taken = amounts(step.options[:uses]).select { |name, amount| fits?(step, name, amount) }
        @demands.add(step, taken, @pools)
        return unless step.options[:uses] || step.options[:rate]

        count, unit = step.options[:rate].to_s.match(Definition::Options::RATE)&.captures
        @needs << [id, taken.map { |name, amount| [@pools.keys.index(name), most(amount)] }, count && most(count.to_i), SECONDS[unit]]
      end

      # Returns how many items of a step can be called at a time.
      def width(step)
        pools = amounts(step.options[:uses]).filter_map { |name, amount| @pools[name]&./(amount) }
        [*pools, *step.options[:concurrency], MOST].min.clamp(1, MOST)
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
