# frozen_string_literal: true

module Flowline
  module Planning
    # The part of the forecast about steps that may end without an output. Conditions are called only when a step is ready.
    class Forecast
      private

      # Returns why a step may be skipped.
      # @return [String, nil]
      def doubt(id)
        step = @dag.steps[id]
        conditions = %i[when unless].select { |word| [step, *@dag.entered(step)].any? { |owner| owner.options[word] } }
        return "depends on #{conditions.join(": and ")}:" unless conditions.empty?

        "whether it runs depends on #{names(absent(id, :maybe))}" if absence(id) == :maybe
      end

      # Returns whether a step is skipped because its dependencies are.
      def absence(id)
        states = @dag.inputs(id).map { |before| @outlooks[before].absence }.uniq
        case @dag.steps[id].options[:run_if]
        when :always then :never
        when :any then states.size == 1 ? states.first : (%i[never maybe] & states).first || :never
        else (%i[surely maybe] & states).first || :never
        end
      end

      def absent(id, absence)
        @dag.inputs(id).select { |before| @outlooks[before].absence == absence }
      end
    end
  end
end
