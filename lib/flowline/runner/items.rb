# frozen_string_literal: true

module Flowline
  # What a runner does with a step that is called for each of its items. It is started once, which opens it, and then
  # once for every item.
  class Runner
    NO_LIMITS = {}.freeze
    # What runs always goes on with its items when the run's time is up.
    ENDLESS = { endless: true }.freeze
    private_constant :NO_LIMITS, :ENDLESS

    private

    def start_items(id)
      step = @dag.steps[id]
      @observers.tell(:step_started, step)
      @hints&.check_input(step, inputs(step))
      source = step.depends_on[step.labels.index(step.each)]
      @mappings[id] = mapping = Mapping.new(@dag.output(source, @outputs), source)
      mapping.recorded = recorded_items(id)
      # There is a limit in any case: an executor may take all that it is given before it performs any of it.
      most = [step.options[:concurrency], @workers].compact.min&.clamp(1, Resources::MOST) || 1
      @run.open(id, most)
      feed(id, mapping, most)
      tell_passed_over # The run may have been stopped meanwhile.
      self.next
    end

    # A list is there at once. Other items are made one by one: in between if that holds up nobody else, else in a thread.
    def feed(id, mapping, most)
      return supply(id, mapping) if mapping.list?

      alone = @one_thread && Fiber.current_scheduler.nil?
      mapping.feeder = if alone
                         Mapping::Feeder.new(mapping, most) { supply_in_time(id, mapping) }
                       else
                         Mapping::ThreadedFeeder.new(mapping, most, ->(error) { source_failed(id, mapping, error) }) { supply(id, mapping) }
                       end
      mapping.feeder.start # Items that end at once are told to it.
    end

    # Makes an item.
    # @return [Boolean] whether there may be more
    def supply(id, mapping)
      return false if mapping.failure || (@run.stopped? && ended?(id))

      @run.supply(id, mapping.more)
      @run.exhaust(id) if mapping.exhausted?
      call_worker
      !mapping.exhausted?
    end

    def supply_in_time(id, mapping)
      more, error, limit = @limits.call(always?(id) ? ENDLESS : NO_LIMITS, @here) { supply(id, mapping) }
      return more unless error || limit

      mapping.failure ||= [TimeoutError.new(@dag.steps[id].name, **limit), :timed_out] if stopped_by_run?(limit)
      source_failed(id, mapping, error)
    end

    # There is no item to blame.
    def source_failed(id, mapping, error)
      mapping.failure ||= StandardError === error ? [step_error(id, error), :failed] : error
      @run.exhaust(id)
      call_worker
      false
    end

    def perform_item(id, mapping, place)
      position = @run.take(id) or return close(id, mapping)
      item = Item.new(position, mapping[position], @run.item_attempts(id, position))
      recorded = mapping.recorded&.find(position, mapping.digest(position))
      return put(id, mapping, item, recorded.first) if recorded

      keyed = false # Until then, what raises is the step's `key:`.
      @caching.with(id, @outputs, @context, item.value) do |found, output, keep|
        keyed = true
        found ? put(id, mapping, item, output) : attempt_item(id, mapping, item, place, &keep)
      end
    rescue StandardError => e
      item.nil? || keyed ? raise : item_failed(id, mapping, item, e, nil, last: true)
    end

    # An item, where it stands among them, how often it was tried in vain, and whether it is being tried.
    Item = Struct.new(:position, :value, :attempts, :called)
    private_constant :Item

    def attempt_item(id, mapping, item, place)
      step = @dag.steps[id]
      overdue = ->(thread, limit) { place.replace(thread) { give_up_item(id, mapping, item, limit) } }
      digest = mapping.digest(item.position) if @recording.records?(step) # The call may change the item.
      @run.begin(id)
      item.called = true
      outcome = @limits.call(step.options, place, overdue) { @calls[id].call(@outputs, @context, item.value) } or return
      output, error, limit = outcome
      return item_failed(id, mapping, item, error, limit) if error || limit

      yield output if block_given?
      @recording.complete_item(id, step, item.position, digest, output) if digest
      put(id, mapping, item, output)
    end

    def put(id, mapping, item, output)
      mapping.put(item.position, output)
      end_item(id, mapping, item, :done)
    end

    def give_up_item(id, mapping, item, limit)
      @warnings << given_up(id, item)
      pass_on(item_failed(id, mapping, item, nil, limit, last: true))
    end

    # @param limit [Hash, nil] the limit that ended it, if that is what happened
    def item_failed(id, mapping, item, error, limit, last: false)
      step = @dag.steps[id]
      last ||= stopped_by_run?(limit) || mapping.failure
      attempt = item.attempts + 1
      error ||= TimeoutError.new(step.name, **limit, attempts: attempt)
      wait = @limits.ask { Retry.wait(step, error, attempt, @warnings) } unless last
      return try_item_again(id, mapping, item, Event::Retry.new(error, attempt, wait, item.position)) if wait

      failure = ItemError.new(step.name, error, position: item.position, item: item.value, attempts: attempt,
                                                detail: @context.mask(Error.words(error)))
      return put(id, mapping, item, failure) if step.options[:on_item_error] == :collect && !stopped_by_run?(limit)

      mapping.failure ||= limit ? [error, :timed_out] : [failure, :failed]
      end_item(id, mapping, item, :failed)
    end

    def stopped_by_run?(limit)
      return false unless limit && limit[:scope] == :run

      @run.stop(:timed_out, false)
      true
    end

    def try_item_again(id, mapping, item, again)
      @observers.tell(:step_retried, @dag.steps[id], again)
      end_item(id, mapping, item, :retry, again.wait)
    end

    def end_item(id, mapping, item, report, wait = nil)
      @run.item(id, item.position, report, item.called == true, wait)
      tell_passed_over if @run.stopped?
      mapping.worked_on(item.attempts.zero?)
      self.next
    end

    # What the sources of these steps have open is closed before others clean up.
    def close_sources(ids)
      ids.reject { |id| @mappings[id].close }.each do |id|
        warning = "the source of step #{Name.show(@dag.steps[id].name)} did not stop when told to, and may still run"
        @warnings << warning unless @warnings.include?(warning)
      end
    end

    # They fail nothing, but somebody should know.
    def tell_collected(id, results)
      failed = results.grep(ItemError)
      return if failed.empty?

      @warnings << "#{failed.size} of #{results.size} items of step #{Name.show(@dag.steps[id].name)} failed; the first: #{failed.first.message}"
    end

    # Every item has ended, or one of them the step.
    def close(id, mapping)
      return self.next if ended?(id) # Its time was up meanwhile.

      close_sources([id])
      raise mapping.failure if Exception === mapping.failure

      tell_collected(id, mapping.results) if @dag.steps[id].options[:on_item_error] == :collect && !mapping.failure
      mapping.failure ? end_badly(id, *mapping.failure) : complete(id, @dag.steps[id], mapping.results)
      self.next
    end
  end
end
