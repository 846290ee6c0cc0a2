# frozen_string_literal: true

module Flowline
  module Execution
    # The entries that are called around each attempt, in the attempt's thread or process. The first entry is the outermost.
    #
    # An entry is an object with +call(attempt)+ that yields once. Its return value is ignored, because the step's output
    # is what its callable returned. An exception in an entry fails the attempt. {Configuration#middleware} has the entries
    # of the application:
    #
    #   class Timing
    #     def call(attempt)
    #       start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    #       yield
    #     ensure
    #       STATS.timing(attempt.step.name, Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)
    #     end
    #   end
    #   Flowline.configure { |config| config.middleware.use(Timing.new) }
    class Middleware
      include Enumerable

      # @param entries [Array<#call>]
      def initialize(entries = [])
        @entries = entries.dup.freeze
      end

      # Adds an entry, innermost.
      # @param entry [#call]
      # @return [self]
      # @raise [ArgumentError] it has no +call+
      def use(entry)
        add(entry, @entries.size)
      end

      # Adds an entry, outermost.
      # @param entry [#call]
      # @return [self]
      # @raise [ArgumentError] it has no +call+
      def prepend(entry)
        add(entry, 0)
      end

      # Removes an entry, or all of a class.
      # @param entry [#call, Class]
      # @return [self]
      def delete(entry)
        @entries = @entries.reject { |other| other.equal?(entry) || (entry.is_a?(Class) && other.is_a?(entry)) }.freeze
        self
      end

      # @yieldparam entry [#call]
      # @return [void]
      def each(&block)
        @entries.each(&block)
      end

      # @return [Boolean]
      def empty?
        @entries.empty?
      end

      # Calls the entries, and innermost the block.
      # @param attempt [Attempt]
      # @return [Object] what the block returns
      # @raise [Error] an entry did not yield
      # @api private
      def call(attempt, index = 0, &block)
        entry = @entries[index] or return attempt.output = yield
        yielded = false
        raised = nil
        entry.call(attempt) do
          yielded = true
          raised = nil
          call(attempt, index + 1, &block)
        rescue Exception => e # rubocop:disable Lint/RescueException -- it is raised again
          raised = e
          raise
        end
        raise raised if raised # The entry has rescued it.
        return attempt.output if yielded || Executor::Isolate === entry

        raise Error, "middleware #{TypeHints.kind(entry)} did not yield, so that the step was not called"
      end

      NONE = new.freeze
      private_constant :NONE

      # @return [Middleware] without entries
      # @api private
      def self.none
        NONE
      end

      private

      def add(entry, position)
        unless entry.respond_to?(:call)
          raise ArgumentError, "middleware: #{TypeHints.kind(entry)} has no `call`; give an object with call(attempt) that yields"
        end

        @entries = @entries.dup.insert(position, entry).freeze
        self
      end
    end
  end
end
