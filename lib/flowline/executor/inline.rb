# frozen_string_literal: true

require_relative "pool"

module Flowline
  module Executor
    # Calls attempts in the coordinator's thread, one after the other.
    # @api private
    class Inline < Pool
      # @param inbox [#<<]
      # @param section [Section, nil] where the coordinator's thread may be interrupted
      def initialize(inbox, section)
        super(inbox)
        @section = section
      end

      # @return [Boolean]
      def inline?
        true
      end

      # @return [Array<#call>] a run in the background has a thread of its own
      def entries
        @section && !@section.borrowed? ? Integrations.around : super
      end

      # Calls the attempt in this thread. Whatever ends the run unwinds through this frame, so that +throw+, +break+ and
      # +return+ reach the caller of the run.
      # @param attempt [Execution::Attempt]
      # @return [Execution::Outcome]
      def submit(attempt)
        return attempt.call unless @section

        @section.call(attempt.always? ? :always : :user) { attempt.call }
      rescue Section::Stopped => e
        raise unless @section&.own?(e)

        attempt.outcome(:interrupted)
      rescue ScriptError, SystemStackError, NoMemoryError => e
        attempt.outcome(:failed, error: e, fatal: e)
      end
    end
  end
end
