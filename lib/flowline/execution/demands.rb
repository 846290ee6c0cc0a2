# frozen_string_literal: true

module Flowline
  module Execution
    # The numbers of attempts at a time that a pipeline asks for, with +concurrency:+ and pools. A run says once where it gets
    # less.
    # @api private
    class Demands
      # So many are named in a warning.
      NAMED = 3
      private_constant :NAMED

      def initialize
        @steps = {}
        @pools = {}
        @narrow = []
      end

      # @return [Boolean]
      def empty?
        @steps.empty? && @pools.empty?
      end

      # @param step [Step]
      # @param taken [Hash{Symbol => Integer}] how much it takes of pools
      # @param sizes [Hash{Symbol => Integer}] the sizes of pools
      # @return [void]
      def add(step, taken, sizes)
        asked = step.options[:concurrency]
        @steps["concurrency: #{asked} of step #{Name.show(step.name)}"] = asked if asked
        taken.each do |name, amount|
          most = sizes[name] / amount
          @pools["pool #{Name.show(name)} for #{most} at a time"] = most
          @narrow << narrow(step, asked, name, most) if asked && asked > most
        end
      end

      # @param pool [Executor::Pool] of the run
      # @return [Array<String>] warnings
      def beyond(pool)
        most = pool.capacity
        asked = pool.inline? ? @steps : @steps.merge(@pools) # A pool is no request for several at a time where one runs at a time.
        asked = asked.select { |_, count| count > most }
        return @narrow if asked.empty?

        names = asked.keys
        names = [*names.first(NAMED), "#{names.size - NAMED} more"] if names.size > NAMED
        ["the executor runs #{most} at a time, less than #{names.join(", ")}; #{way_out(pool, asked.values.max)}", *@narrow]
      end

      private

      def narrow(step, asked, name, most)
        "step #{Name.show(step.name)} has concurrency: #{asked}, but pool #{Name.show(name)} lets #{most} of it run at a time; enlarge the pool"
      end

      def way_out(pool, count)
        case pool
        when Executor::Forks then "raise max_processes: to #{count}"
        when Executor::Threads then "raise max_threads: to #{count}"
        when Executor::Inline then "use executor: :parallel, max_threads: #{count}"
        else "use an executor that runs #{count} at a time"
        end
      end
    end
  end
end
