# frozen_string_literal: true

module Flowline
  module CLI
    # The steps that run of a run in another process, from what it shows in the store, as the data that a {Reporter::View} draws:
    # the counterpart of {Reporter::Board}.
    # @api private
    class WatchedBoard
      # @param run [History::Run]
      # @param timings [Hash{String => Float}] by step, the seconds that it took before
      def initialize(run, timings)
        graph = run.graph || { steps: [], groups: [] }
        @nodes, @groups = graph.values_at(:steps, :groups)
        @positions = @nodes.each_with_index.to_h { |node, id| [node[:name].to_sym, id] }
        @timings = timings.filter_map { |name, seconds| [@positions[name.to_sym], seconds] if @positions.key?(name.to_sym) }.to_h
        @workers = 1
        @estimate = Reporter::Estimate.new(self, @nodes.size)
        update(run)
      end

      # @return [Hash{Integer => Float}] by step
      attr_reader :timings
      # @return [Integer] how many steps were seen running at a time
      attr_reader :workers

      # @param id [Integer] a step
      # @return [Array<Integer>] the steps that it depends on
      def inputs(id)
        @nodes[id][:after] || []
      end

      # @return [Array<Integer>] the steps, each after those that it depends on
      def order
        @order ||= begin
          depths = Hash.new do |known, id|
            open = [id]
            until open.empty?
              missing = inputs(open.last).reject { |before| known.key?(before) }
              missing.empty? ? open.pop.then { |at| known[at] = 1 + (inputs(at).map { |before| known[before] }.max || 0) } : open.concat(missing)
            end
            known[id]
          end
          @nodes.each_index.sort_by { |id| depths[id] }
        end
      end

      # @return [Integer] how wide names are shown
      def width
        @width ||= @nodes.map { |node| Text.width(Name.show(node[:name])) }.max.to_i.clamp(14, 40)
      end

      # @param run [History::Run] as it stands now
      # @return [void]
      def update(run)
        @run = run
        @live = run.live
        @ended = run.steps.reject { |step| %i[running pending].include?(step.status) }
        @workers = [@workers, @live.steps.count(&:running?)].max if @live
      end

      # @return [Reporter::View::State]
      def state
        now = Time.now
        shown, waiting = (@live&.steps || []).partition { |step| step.running? || step.attempt > 1 }
        waits = waiting.map { |step| step.wait.sub(/ until .*/, "") }.tally
        hidden = @live ? [@live.open - @live.steps.size, 0].max : 0
        waits["worker"] = waits.fetch("worker", 0) + hidden if hidden.positive?
        Reporter::View::State.new(total: @nodes.size, ended: @ended.size, failed: @ended.count(&:failed?), elapsed: now - @run.started_at,
                                  left: left(now, shown), rows: shown.map { |step| row(step, now) }, waits: waits, cancelling: @live&.stopped?)
      end

      private

      def left(now, shown)
        running = shown.select { |step| step.since && @positions[step.name] }.to_h { |step| [@positions[step.name], now - step.since] }
        @estimate.left(now - @run.started_at, @ended.to_h { |step| [@positions[step.name], true] }, running)
      end

      def row(step, now)
        waits_for = step.reason == :pool ? "pool #{step.pool}" : step.reason&.name
        usual = @timings[@positions[step.name]]
        note = "of about #{Reporter::View.duration(usual)}" if usual && usual >= 1 && step.attempt <= 1
        since = step.started || step.since
        Reporter::View::Row.new(name: step.name, depth: depth(step.name), elapsed: since && (now - since), attempt: (step.attempt unless step.items),
                                attempts: attempts(step.name), waits_for: waits_for,
                                waits: step.until && step.reason == :retry ? [step.until - now, 0].max : nil, note: note, items: items(step, now))
      end

      # @return [Integer] how many pipelines a step is nested in
      def depth(name)
        depth = 0
        group = node(name)[:group]
        (depth += 1) && (group = @groups.dig(group, :parent)) while group
        depth
      end

      # @return [Integer] how many attempts a step may have
      def attempts(name)
        1 + node(name)[:retries].to_i
      end

      def node(name)
        at = @positions[name]
        at ? @nodes[at] : {}
      end

      def items(step, now)
        counts = step.items or return
        ended = counts.done + counts.failed
        seconds = step.since ? now - step.since : 0
        Reporter::View::Items.new(total: counts.total && (counts.total - counts.restored), done: counts.done, failed: counts.failed,
                                  restored: counts.restored, rate: (ended / seconds if ended.positive? && seconds >= 1), slowest: step.slowest)
      end
    end
  end
end
