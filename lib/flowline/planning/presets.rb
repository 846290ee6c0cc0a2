# frozen_string_literal: true

module Flowline
  module Planning
    # The part of a plan that its run uses: outputs that are available before the run begins, and records that it may restore.
    # @api private
    class Presets
      # @return [Hash{Integer => Object}] the outputs of the steps that are restored before the run begins
      attr_reader :restored
      # @return [Hash{Integer => Object}] the outputs that were found in caches; the run uses them even if the caches change
      attr_reader :found
      # @return [Hash{Integer => Recording::Entry}] the records that are restored if they were made of the outputs of this run
      attr_reader :open
      # @return [Hash{Integer => Recording::Items}] the items that a step need not be called for, under the same condition
      attr_reader :items
      # @return [Array<Integer>] the steps that are not selected and have no output
      attr_reader :unselected
      # @return [Hash{Integer => String}] the tokens that are known before the run
      attr_reader :tokens
      # @return [Array<String>]
      attr_reader :warnings
      # @return [Hash{Integer => String}] why steps are called, by the plan or, where it left that open, by the run
      attr_reader :reasons

      # @param recording [Recording]
      # @param forecast [Forecast]
      def initialize(recording, forecast)
        @recording = recording
        @outlooks = forecast.outlooks
        @open = forecast.open
        @items = forecast.items
        @warnings = forecast.warnings
        @restored, @found, @tokens, @reasons = Array.new(4) { {} }
        @unselected = []
        @outlooks.each { |id, outlook| adopt(id, outlook, forecast) }
      end

      # @return [Boolean] whether the output that was found is used, whatever the step's conditions return
      def reuses?(id)
        @outlooks[id].action == :reuse
      end

      # @return [Array(Array<Integer>, Array<Integer>)] the steps whose recorded output, and the steps whose recorded items
      #   are stale
      def outdated
        entries = @recording.checkpoint.entries
        outputs = entries.each_index.select { |id| entries[id] && !recorded?(id, entries[id].token) }
        items = @recording.checkpoint.items.keys.reject { |id| @items.key?(id) || out?(id) || (@outlooks[id].there? && entries[id]&.collected) }
        [outputs, items]
      end

      private

      def adopt(id, outlook, forecast)
        return adopt_call(id, outlook, forecast) if outlook.calls?

        token = outlook.tokens.first
        @tokens[id] = token if String === token
        case outlook.action
        when :restore then @restored[id] = forecast.outputs[id]
        when :reuse then @found[id] = forecast.outputs[id]
        when :skip then @unselected << id unless forecast.selected?(id)
        end
      end

      # Its cache may have an output although it is left open whether that is used.
      def adopt_call(id, outlook, forecast)
        @reasons[id] = outlook.cause if outlook.cause && !@items.key?(id)
        @found[id] = forecast.outputs[id] if forecast.outputs.key?(id)
      end

      # Returns whether the recorded output of a step stays that of the step, or may do so.
      def recorded?(id, token)
        @tokens[id].equal?(token) || out?(id) || @outlooks[id].surely?(token) || @open.key?(id)
      end

      # Returns whether the step takes no part in the run.
      def out?(id)
        @outlooks[id].action == :skip
      end
    end
  end
end
