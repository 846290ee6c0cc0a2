# frozen_string_literal: true

module Flowline
  class Report
    # The graph of a run as a picture: how each step ended, as a colour and as a mark, and how long it took.
    # @api private
    class Graph
      include Markup

      # @param data [Data] all of whose steps have their dependencies
      # @yieldparam step [Step]
      # @yieldparam at [Integer] its position
      # @yieldreturn [String, nil] where a click on it leads
      def initialize(data, &link)
        @data = data
        @link = link
      end

      # @return [Picture]
      def picture
        nodes = @data.steps.each_with_index.map do |step, at|
          [step.name, step.label, step.group, step.status, note(step), title(step), @link.call(step, at), !step.many.nil?]
        end
        edges = @data.steps.each_with_index.flat_map { |step, at| step.after.map { |from| [from, at, nil] } }
        Picture.new(nodes, edges, @data.groups)
      end

      private

      def note(step)
        words = [MARKS[step.status], (seconds(step.duration) if step.duration)].compact
        words.join(" ") if words.any?
      end

      def title(step)
        [step.description, step.error && short(step.error, 120), step.location].compact.join("\n")
      end
    end
  end
end
