# frozen_string_literal: true

module Flowline
  module History
    # Where a run stands that goes on, or stood when its process crashed, as its process has shown it last. A run shows that
    # twice a second at most, from its first half second on.
    class Live
      # A step that has started or could start, and has not ended: its +name+, the number of its +attempt+, since when it runs or
      # waits, the +reason+ of a wait (+:retry :pool :rate :worker+, nil if it runs), the +pool+ and the time +until+ which it waits, and
      # the counts of its +items+, and the +slowest+ item, which takes longest at the moment.
      # A step that was called before has +started+ when it was called first.
      Step = Struct.new(:name, :attempt, :since, :reason, :pool, :until, :items, :slowest, :started, keyword_init: true) do
        # @return [Boolean] whether it is being called
        def running?
          reason.nil?
        end

        # @return [String, nil] what it waits for, in words; nil: it runs
        def wait
          return unless reason

          what = reason == :pool ? "pool #{Name.show(pool)}" : reason.name
          self.until ? "#{what} until #{self.until.strftime("%H:%M:%S")}" : what
        end
      end

      # @return [Time] when the run was shown
      attr_reader :updated_at
      # @return [Integer] the number of its steps
      attr_reader :total
      # @return [Integer] how many of them have ended
      attr_reader :ended
      # @return [Integer] how many failed
      attr_reader :failed
      # @return [Integer] how many run or wait for something other than their dependencies; {#steps} has the first of them
      attr_reader :open
      # @return [Array<Step>] the running ones first
      attr_reader :steps
      # @return [Array(Symbol, String), nil] the step of the last line of the log, and its beginning; the step is nil if the line is one
      #   of the run itself
      attr_reader :line

      # @param updated [Float] seconds since 1970
      # @param body [String] as the process has written it
      # @param began [Time] when the run started
      # @api private
      def initialize(updated, body, began)
        require "json"
        facts = ::JSON.parse(body, symbolize_names: true)
        @updated_at = Time.at(updated)
        @total, @ended, @failed, @open = facts.values_at(:total, :ended, :failed, :open)
        @stopped = facts[:stopped]
        @line = facts[:line]&.then { |name, text| [name&.to_sym, text].freeze }
        @steps = facts.fetch(:steps).map { |step| step_of(step, began) }.freeze
        freeze
      end

      # @return [Boolean] whether nothing more starts, apart from steps that always run
      def stopped?
        @stopped == true
      end

      # @param name [Symbol]
      # @return [Step, nil]
      def step(name)
        steps.find { |step| step.name == name.to_sym }
      end

      # @return [Hash{Symbol => Object}]
      def to_h
        { updated_at: updated_at, total: total, ended: ended, failed: failed, open: open, stopped: stopped?, line: line,
          steps: steps.map { |step| { **step.to_h, items: step.items&.to_h&.slice(*History::Step::ITEMS)&.compact } } }
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{ended}/#{total} #{steps.map { |step| Name.show(step.name) }.join(", ")}>"
      end

      private

      def step_of(facts, began)
        since, ends, started = facts.values_at(:since, :until, :started).map { |seconds| began + seconds if seconds }
        reason, pool = facts.values_at(:reason, :pool).map { |text| text&.to_sym }
        items = items_of(facts[:items]) if facts[:items]
        Step.new(name: facts[:name].to_sym, attempt: facts[:attempt], since: since, reason: reason, pool: pool, until: ends, items: items,
                 slowest: facts[:slowest], started: started).freeze
      end

      def items_of(facts)
        ItemCounts.new(**facts, retries: 0).freeze
      end
    end
  end
end
