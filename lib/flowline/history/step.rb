# frozen_string_literal: true

module Flowline
  module History
    # A step of a recorded run.
    class Step
      # @return [Symbol]
      attr_reader :name
      # @return [Symbol] +:succeeded :cached :restored :skipped :failed :timed_out :cancelled+; of a run that goes on or has crashed
      #   also +:running+ and +:pending+
      attr_reader :status
      # @return [Symbol, nil] why it was skipped or cancelled; see {StepResult#reason}
      attr_reader :reason
      # @return [Integer] the number of calls of its callable
      attr_reader :attempts
      # @return [Time, nil] nil: it was not called
      attr_reader :started_at
      # @return [Float, nil] seconds
      attr_reader :duration
      # @return [String, nil] the message of its error
      attr_reader :error
      # @return [ItemCounts, nil] how the items of a step with +each:+ ended
      attr_reader :items
      # @return [Hash{Symbol => Object}, nil] +kind+, the class of its output; +size+, how many elements or bytes it has; +text+, a short
      #   text, or nil if that could hold a secret. nil: no output is known
      attr_reader :output

      # The counts that history has of items.
      ITEMS = %i[total done restored failed recorded].freeze

      # @param row [Store::Step]
      # @param run [Run]
      # @param recorded [Integer, nil] how many items are recorded
      # @api private
      def initialize(row, run, recorded = nil)
        @run = run
        began = run.started_at
        @name = row.name.to_sym
        @status = row.status.to_sym
        @reason = row.reason&.to_sym
        @attempts = row.attempts.to_i
        @started_at = began + row.started if row.started
        @duration = row.duration
        @error = row.error
        @detail = row.detail
        @items = counts(row, recorded) if row.items_done || recorded
        @output = { kind: row.kind, size: row.output_size, text: row.preview } if row.kind
        freeze
      end

      # @return [Boolean] whether it failed or timed out
      def failed?
        %i[failed timed_out].include?(status)
      end

      # @return [String, nil] its {#output} on one line
      # @api private
      def preview
        output && [output[:kind], ("(#{output[:size]})" if output[:size]), output[:text]].compact.join(" ")
      end

      # @return [Array<Hash{Symbol => Object}>] the last attempts that failed and were retried: +number+, +item+ (from 1, of a step with
      #   +each:+) and its +label+, +ended+ (seconds from the start of the run), +wait+ (seconds until the next attempt) and +error+
      def retries
        detail.fetch(:attempts, [])
      end

      # @return [Array<Hash{Symbol => Object}>] the first items that failed: +item+ (from 1), +label+, +attempts+ and +error+
      def failed_items
        detail.fetch(:items, [])
      end

      # @return [Hash{Symbol => Numeric}] the first numbers that it has reported ({Context#report})
      def report
        detail.fetch(:report, {})
      end

      # @return [Why] why it was called, or was not
      # @example
      #   Flowline::History.runs.first.step(:fetch).why.reason # => "its cache had no entry for it as it is now"
      def why
        Why.new(@run, self)
      end

      # @return [Hash{Symbol => Object}] what was decided about it: see {Recording::Grounds}
      # @api private
      def grounds
        detail.slice(:plan, :missed, :key, :parts)
      end

      # @return [Hash{Symbol => Object}]
      def to_h
        { name: name, status: status, reason: reason, attempts: attempts, started_at: started_at, duration: duration, error: error,
          items: items&.to_h&.slice(*ITEMS)&.compact, output: output, report: report, retries: retries, failed_items: failed_items }
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{Name.show(name)} #{status}>"
      end

      private

      def counts(row, recorded)
        ItemCounts.new(total: row.items_total, done: row.items_done || 0, restored: row.items_restored || 0, failed: row.items_failed || 0,
                       recorded: recorded, retries: 0).freeze
      end

      def detail
        return {} unless @detail

        require "json"
        ::JSON.parse(@detail, symbolize_names: true)
      end
    end
  end
end
