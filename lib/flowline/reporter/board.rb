# frozen_string_literal: true

module Flowline
  module Reporter
    # The steps that run at the moment, from the events of a run and its {Execution::Monitor}, as the data that a {View} draws.
    # Events come in the coordinator's thread; another thread may ask at any time.
    # @api private
    class Board
      # Steps up to which the waiting ones are counted each time.
      COUNTED = 2_000
      # Seconds between two counts of waiting steps, if there are more.
      RARELY = 1.0
      # Seconds that a slow step takes at least, how many times the median they are, and how many steps are listed.
      SLOW = 1.0
      TIMES = 2.0
      LISTED = 3
      # How far a schedule may be from the run, as a part of it, to say something about the run.
      NEAR = 0.1
      private_constant :COUNTED, :RARELY, :SLOW, :TIMES, :LISTED, :NEAR

      # The facts about a step that has started.
      Active = Struct.new(:step, :id, :since, :attempt, :again, :error)
      private_constant :Active

      # @param event [Event] the start of a run
      def initialize(event)
        @steps = event.steps
        @context = event.context
        @monitor = event.monitor
        @active = {}
        @ended = {}
        @failed = 0
        @counted = {}
        @estimate = Estimate.new(@monitor, @steps.size) if @monitor
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :step_started then @active[event.step.name] = Active.new(event.step, @monitor&.id(event.step), now, 1)
        when :step_retried then retried(event)
        when :step_finished then finished(event)
        end
      end

      # @return [View::State]
      def state
        at = now
        active = @active.values
        View::State.new(total: @steps.size, ended: @ended.size, failed: @failed, elapsed: at, left: left(at, active),
                        rows: active.map { |known| row(known, at) }, waits: waits(at, active), cancelling: @monitor&.stopped?)
      end

      # @return [Array<String>] the steps that run, with how long they have
      def running
        at = now
        @active.values.map { |known| "#{Name.show(known.step.name)} (#{[View.duration(at - known.since), *progress(known)].join(", ")})" }
      end

      # @param result [Result] of the run
      # @return [Array<Array(Step, Float, Float)>] the steps that took much longer than usual, the longest first: their seconds, and
      #   how many times the median of earlier runs that is
      def slow(result)
        found = @steps.each_with_index.filter_map do |step, id|
          usual = @estimate&.of(id) or next
          duration = result[step.name].duration
          [step, duration, duration / usual] if duration && duration >= SLOW && duration >= usual * TIMES
        end
        found.sort_by { |_, duration, _| -duration }.first(LISTED)
      end

      # Returns how many workers would have been as fast, if those are fewer than there were. The run is scheduled again with the times
      # that its steps took; nothing is said if that is not about as long as the run was.
      # @param result [Result] of the run
      # @return [Array(Integer, Integer), nil] that number, and how many there were
      def superfluous(result)
        return unless @monitor && @monitor.workers > 1 && result.success? && result.duration >= SLOW

        length, _, useful = @monitor.schedule(@steps.map { |step| result[step.name].duration || 0.0 })
        [useful, @monitor.workers] if useful < @monitor.workers && (length - result.duration).abs <= result.duration * NEAR
      end

      private

      def now
        @monitor ? @monitor.elapsed : @context.elapsed
      end

      def retried(event)
        known = @active[event.step.name] or return
        return if event.result.item

        known.attempt = event.result.attempt + 1
        known.again = now + event.result.wait
        known.error = @context.mask(Error.account(event.result.error, Error.words(event.result.error).lines.first.to_s.chomp))
      end

      def finished(event)
        id = @monitor&.id(event.step)
        @ended[id || event.step.name] = true
        @failed += 1 if event.result.failed?
        @active.delete(event.step.name)
      end

      def left(at, active)
        running = active.to_h { |known| [known.id, at - known.since] }
        @estimate&.left(at, @ended, running, (->(id) { still_wanted?(id, running) } if @monitor.stopped?))
      end

      # Of a run that is stopping, only what runs now and what always runs is still to come, and few items of a step.
      def still_wanted?(id, running)
        step = @steps[id]
        step.options[:run_if] == :always || (running.key?(id) && !step.each)
      end

      def row(known, at)
        step = known.step
        waits_for = @monitor&.waits_for(known.id)
        waits = known.again - at if known.again && waits_for == "retry"
        View::Row.new(name: step.name, depth: Lines.depth(step), elapsed: at - known.since, attempt: known.attempt, attempts: allowed(step),
                      waits_for: waits_for, waits: waits, note: note(known), items: items(known, at))
      end

      def allowed(step)
        1 + (step.options[:retries] || 0)
      end

      def note(known)
        return known.error if known.attempt > 1

        usual = @estimate&.of(known.id)
        "of about #{View.duration(usual)}" if usual && usual >= 1
      end

      def items(known, at)
        counts = @monitor&.items(known.id) or return
        ended = counts.done + counts.failed
        seconds = at - known.since
        View::Items.new(total: counts.total && (counts.total - counts.restored), done: counts.done, failed: counts.failed, restored: counts.restored,
                        rate: (ended / seconds if ended.positive? && seconds >= 1 && !@monitor.stopped?), slowest: @monitor.slowest(known.id))
      end

      def progress(known)
        counts = @monitor&.items(known.id) or return []
        done = counts.done + counts.failed + counts.restored
        [counts.total ? "#{Lines.count(done)}/#{Lines.count(counts.total)}" : "#{Lines.count(done)} items"]
      end

      # Steps that wait for a pool or a rate before they are called.
      def waits(at, active)
        return {} unless @monitor
        return @counted if @steps.size > COUNTED && @waits_at && at - @waits_at < RARELY

        @waits_at = at
        shown = active.to_h { |known| [known.id, true] }
        @counted = @monitor.waits(shown)
      end
    end
  end
end
