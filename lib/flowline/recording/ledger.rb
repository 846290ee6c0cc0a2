# frozen_string_literal: true

module Flowline
  module Recording
    # The state of a pipeline as a run sees it: the values that were there, and over them what steps of the run have written.
    # Values are bytes.
    # @api private
    class Ledger
      # @param recording [#state] the values that were there, and the writes of restored steps
      # @param context [Context]
      def initialize(recording, context)
        @recording = recording
        @context = context
        @written = {}
        @unrecorded = {}
      end

      # @return [Hash{String => String, nil}] bytes by key; nil: it was deleted
      def values
        @values ||= @recording.state.merge(*@written.values)
      end

      # Adds what a step, or one of its items, has written.
      # @param id [Integer]
      # @param changes [Hash{String => String, nil}]
      # @return [void]
      def add(id, changes)
        values.merge!(changes)
        (@written[id] ||= {}).merge!(changes)
        (@unrecorded[id] ||= {}).merge!(changes)
      end

      # @param id [Integer]
      # @return [Hash{String => String, nil}, nil] what a step has written since the last call
      def take(id)
        @unrecorded.delete(id)
      end

      # @return [Hash{Integer => Hash{String => String, nil}}] by step
      attr_reader :written

      # @return [Boolean] whether a text holds the value of a secret param
      def masks?(text)
        @context.secrets? && @context.mask(text) != text
      end

      # @return [Boolean] whether bytes may hold the value of a secret param
      def secret_in?(bytes)
        @context.secret_in?(bytes)
      end
    end
  end
end
