# frozen_string_literal: true

module Flowline
  module Planning
    # The part of a plan that its run takes over: outputs that are there before it begins, and records that it may use.
    # @api private
    class Presets
      # @return [Hash{Integer => Object}] the outputs of the steps that are restored before the run begins
      attr_reader :restored
      # @return [Hash{Integer => Object}] what was found in caches: the run uses it, whatever becomes of them
      attr_reader :found
      # @return [Hash{Integer => Recording::Entry}] what is restored if it was made of what the run has
      attr_reader :open
      # @return [Hash{Integer => Recording::Items}] the items that a step need not be called for, under the same condition
      attr_reader :items
      # @return [Array<Integer>] the steps that do not take part, and whose outputs are not there
      attr_reader :unselected
      # @return [Hash{Integer => String}] the tokens that are known before the run
      attr_reader :tokens
      # @return [Array<String>]
      attr_reader :warnings

      # @param dag [DAG]
      # @param recording [Recording]
      # @param forecast [Forecast]
      def initialize(dag, recording, forecast)
        @dag = dag
        @recording = recording
        @outlooks = forecast.outlooks
        @open = forecast.open
        @items = forecast.items
        @warnings = forecast.warnings
        @restored, @found, @tokens = Array.new(3) { {} }
        @unselected = []
        forecast.outputs.each { |id, output| (@outlooks[id].action == :restore ? @restored : @found)[id] = output }
        @outlooks.each do |id, outlook|
          token = outlook.tokens.first
          @tokens[id] = token if String === token && !outlook.calls?
          @unselected << id if outlook.action == :skip && !forecast.selected?(id)
        end
      end

      # @return [Boolean] whether the step's output is used that was found, whatever its conditions say
      def reuses?(id)
        @outlooks[id].action == :reuse
      end

      # @return [Array(Array<Symbol>, Array<Symbol>)] of which steps the recorded output, and of which the recorded items
      #   are of no more use
      def outdated
        outputs = changing(@recording.entries) { |id, outlook, entry| outlook.surely?(entry.token) || @open.key?(id) }
        [outputs, changing(@recording.items) { |id, _| @items.key?(id) }]
      end

      private

      def changing(records)
        index = @dag.index
        names = []
        records.each do |name, record|
          id = index[name] or next
          outlook = @outlooks[id]
          names << name unless outlook.action == :skip || yield(id, outlook, record)
        end
        names
      end
    end
  end
end
