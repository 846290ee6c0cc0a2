# frozen_string_literal: true

require_relative "../event"
require_relative "../reporter"

module Flowline
  # The events of a run, and the delivery of them to observers.
  # @api private
  module Events
    # The observers of a run: recording, hooks and reporters. Each is notified of every event that it wants
    # ({Event.wanted_by}), in this order, in the thread of the coordinator.
    #
    # An exception from outside may arrive anywhere. A {Delivery} knows the observers that an event has reached, so that such an
    # exception hits one observer or none: it keeps no other from being notified, and none is notified twice.
    # @api private
    class Notifier
      # An event on its way to the observers.
      class Delivery
        # @return [Exception, nil] the first exception of an observer that ends the step or the run
        attr_accessor :refusal

        # @param event [Event]
        # @param observers [Array<#call>]
        def initialize(event, observers)
          @event = event
          @observers = observers
          @reached = 0
        end

        # @return [#call, nil] the first observer that the event has not reached; nil: it has reached all
        def following
          @observers[@reached]
        end

        # Notifies the next observer. Nothing arrives before its call, because Ruby looks for interrupts when a method returns.
        # @return [void]
        def advance
          observer = following
          @reached += 1
          observer.call(@event)
        end
      end
      DONE = Delivery.new(nil, [].freeze).freeze
      # Exceptions of the code of a reporter that are no StandardError, as of a method that is not there yet.
      MISTAKES = [ScriptError, SystemStackError].freeze
      private_constant :Delivery, :DONE, :MISTAKES

      # @param own [Array<#call>] the recording and the hooks, which see to their limits themselves
      # @param reporters [Array<#call>]
      # @param environment [Execution::Environment]
      # @param section [Executor::Section, nil] where observers may be interrupted by another thread
      def initialize(own, reporters, environment, section = nil)
        @own = own
        @recording = own.grep(Recording::Journal).first
        @observers = own + reporters
        @wanting = {} # By event, the observers that want it.
        @context = environment.context
        @steps = environment.steps
        @run = [@context, @steps].freeze
        @number = 0
        @warnings = environment.warnings
        @limits = environment.limits
        @section = section
        @limited = reporters.reject { |reporter| Reporter.own?(reporter) }.to_h { |reporter| [reporter, true] }.compare_by_identity
        @ends = {} # By step, and for the run by nil, the delivery of its end.
        @late = []
      end

      # @return [Boolean]
      def empty?
        @observers.empty?
      end

      # @param name [Symbol]
      # @return [Boolean] whether an observer wants these events
      def wants?(name)
        !wanting(name).empty?
      end

      # @param name [Symbol]
      # @param step [Step, nil]
      # @param result [Object, nil]
      # @yieldreturn [Execution::Monitor, nil] with +run_started+
      # @return [void]
      # @raise [HookError, StoreError, Error::TimeUp] after all were notified
      def notify(name, step = nil, result = nil, &monitor)
        deliver(delivery(name, step, result, &monitor)) unless @observers.empty? || wanting(name).empty?
      end

      # Notifies of the end of a step, or of the run. If that was interrupted, notifies of what is left of it.
      # @param id [Integer, nil] the step; nil: the run
      # @yieldreturn [StepResult, Result] how it ended
      # @return [void]
      # @raise [StoreError] after all were notified
      def notify_end(id)
        return if empty? || notified?(id)
        return record_end(id, yield) if id && only_recorded?

        deliver(@ends[id] ||= id ? delivery(:step_finished, @steps[id], yield) : delivery(:run_finished, nil, yield))
      ensure
        pass_over(id) if @ends[id] && @ends[id].following.nil? # The event is no longer needed.
      end

      # Notifies that a step has ended because a cache had its output.
      # @param id [Integer]
      # @param output [Object]
      # @yieldreturn [StepResult]
      # @return [void]
      # @raise [StoreError] after all were notified
      def notify_recalled(id, output, &result)
        return notify_end(id, &result) unless only_recorded?

        @ends[id] = DONE
        @recording.record_cached(id, output)
      end

      # @param id [Integer, nil]
      # @return [Boolean] whether all were notified of the end of the step, or of the run
      def notified?(id)
        @ends[id].equal?(DONE)
      end

      # Counts the end of a step as notified of.
      # @param id [Integer]
      # @return [void]
      def pass_over(id)
        @ends[id] = DONE
      end

      private

      # Returns whether only the recording wants to know how steps end, so that there need not be events.
      def only_recorded?
        @recording && wanting(:step_finished).size == 1
      end

      # Notifies the recording once, as by a {Delivery}.
      def record_end(id, result)
        @section ? @section.call(:user) { record_once(id, result) } : record_once(id, result)
      ensure
        record_once(id, result) unless notified?(id)
      end

      def record_once(id, result)
        @ends[id] = DONE
        @recording.record_end(id, result)
      end

      def wanting(name)
        @wanting[name] ||= @observers.select { |observer| Event.wanted_by(observer).include?(name) }
      end

      def delivery(name, step, result, &monitor)
        Delivery.new(Event.new(name, @number += 1, @run, step, result, &monitor), wanting(name))
      end

      # Notifies all observers, even if one of them is interrupted.
      def deliver(delivery)
        while (observer = delivery.following)
          call(observer, delivery)
        end
        raise delivery.refusal if delivery.refusal
      ensure
        deliver(delivery) if delivery.following
      end

      def call(observer, delivery)
        @section ? @section.call(:user) { advance(observer, delivery) } : advance(observer, delivery)
      rescue HookError, StoreError, Error::TimeUp => e
        delivery.refusal ||= e
      rescue StandardError, *MISTAKES => e
        raise if delivery.following.equal?(observer) # It comes from outside.
        raise if MISTAKES.any? { |type| type === e } && @own.include?(observer)

        leave_out(observer, "failed and was left out: #{TypeHints.kind(e)}: #{@context.mask(Error.words(e))}")
      end

      def advance(observer, delivery)
        @own.include?(observer) ? delivery.advance : report_to(observer, delivery)
      end

      def report_to(reporter, delivery)
        @limits.observe(hangs: @limited.key?(reporter)) { delivery.advance }
      rescue Error::TimeUp => e
        return leave_out(reporter, "was interrupted again and left out: #{e.message}") if @late.include?(reporter)

        @late << reporter
        @warnings << "reporter #{TypeHints.kind(reporter)} was interrupted: #{e.message}"
      end

      def leave_out(observer, how)
        @observers = @observers.reject { |other| other.equal?(observer) }
        @wanting.clear
        @warnings << "reporter #{TypeHints.kind(observer)} #{how}"
      end
    end
  end
end
