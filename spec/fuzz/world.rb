# frozen_string_literal: true

require "flowline"

module Fuzz
  # The work of a scenario's steps. An output contains the names of the outputs from which it was made. Blocks refer to
  # this constant, so a change of its state is no change of their code.
  module World
    # Raised by steps that are broken.
    Broken = Class.new(StandardError)

    class << self
      # @return [Hash{Symbol => Object}] +broken+ steps, +flips+ of conditions, whether each production is +unique+
      attr_accessor :state

      # @return [Hash{Symbol => Flowline::Cache}] the caches of the scenario
      attr_accessor :caches

      # @return [String, nil] the digest of an output
      def id(output)
        output.nil? ? nil : Flowline::Identity::Digest.try(output)
      end

      # @return [Array] an output: the step that made it, and the inputs
      def make(name, edition, day, given)
        raise Broken, name.name if state[:broken].include?(name)

        [name, edition, day, serial, given.map { |label, output| [label, id(output)] }]
      end

      # @return [Array<Array>] an output with items: two that are always the same, and one that says where they are from
      def list(name, edition, day, given)
        made = make(name, edition, day, given)
        [[name, 0], [name, 1], made]
      end

      # @return [Enumerator::Lazy] the same
      def lazy(...)
        list(...).lazy
      end

      # @return [Array] the output for an item
      def map(name, edition, item, given)
        raise Broken, name.name if state[:broken].include?([name, item.last])

        [*make(name, edition, nil, given), id(item)]
      end

      # @return [Boolean] the value of a condition
      def ask(kind, name, context, given)
        case kind
        when :yes then true
        when :no then false
        when :day then context[:day] == 1
        when :flip then state[:flips].include?(name)
        else id(given).to_s.to_i(16).even?
        end
      end

      private

      def serial
        state[:unique] ? @serial = (@serial || 0) + 1 : nil
      end
    end
  end
end
