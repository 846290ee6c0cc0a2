# frozen_string_literal: true

module Flowline
  module Execution
    # Recalls outputs from caches before any step of a run is called, many of them with one question. It asks about steps that
    # depend on nothing, or only on steps of which it has the outputs; all other steps ask their cache when they are ready. So
    # does a step of which it finds nothing.
    #
    # It leaves out steps of which more than an entry in the cache decides: those with conditions, with +each:+, or with a +key:+,
    # which is code of the user that should be called only if the step comes to run.
    # @api private
    class Recall
      # How many outputs it asks for at once.
      MOST = 256
      private_constant :MOST

      # @param environment [Environment]
      # @param state [State]
      # @param section [Executor::Section, nil] where the coordinator's thread may be interrupted
      def initialize(environment, state, section)
        @environment = environment
        @section = section
        @dag = environment.dag
        @caching = environment.caching
        @state = state
        @outputs = {}
      end

      # @return [void]
      # @raise [Error::TimeUp]
      def call
        @section ? @section.call(:user) { look_in_time } : look_in_time
        @state.recall(@outputs) unless @outputs.empty? || @environment.run.stopped?
      end

      private

      def look_in_time
        @environment.limits.within_run { look }
      end

      def look
        waiting = {}
        @dag.order.each do |id|
          next unless asks?(id)

          inputs = @dag.inputs(id)
          find(waiting) if waiting.size >= MOST || inputs.any? { |before| waiting.key?(before) }
          waiting[id] = true if inputs.all? { |before| @outputs.key?(before) }
        end
        find(waiting)
      end

      def asks?(id)
        @caching.multi?(id) && !@environment.conditions?(id)
      end

      # Asks about the steps that wait for that, unless the run was stopped before or meanwhile.
      def find(waiting)
        @outputs.merge!(@caching.find_multi(waiting.keys, @outputs, @environment.context)) unless waiting.empty? || @environment.run.stopped?
        waiting.clear
      end
    end
  end
end
