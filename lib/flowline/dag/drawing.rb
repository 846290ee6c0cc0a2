# frozen_string_literal: true

module Flowline
  class DAG
    # The input of the core's drawing functions: nodes, edges and frames, by position.
    # @api private
    class Drawing
      # The default of +link:+: the source file from the working directory, with the line as GitHub has it.
      LINK = "{path}#L{line}"

      # @param dag [DAG] without problems
      def initialize(dag)
        @dag = dag
      end

      # @return [String]
      def to_mermaid
        Native.mermaid(*names)
      end

      # @return [String]
      def to_dot
        Native.dot(*names)
      end

      # @return [String]
      def to_ascii
        Native.ascii(*names)
      end

      # @param link [String, nil] a template of the URL of a step's source
      # @return [Report::Picture]
      def picture(link = LINK)
        nodes = steps.zip(@dag.steps).map do |node, step|
          title = [step.description, step.location].compact.map { |line| Name.show(line) }.join("\n")
          [*node, nil, ("each #{Name.show(step.each)}" if step.each), title, url(link, step.location), !step.each.nil?]
        end
        Report::Picture.new(nodes, edges, frames)
      end

      private

      def names
        [steps, edges, frames]
      end

      def positions
        @positions ||= @dag.groups.keys.each_with_index.to_h
      end

      def steps
        @dag.steps.map { |step| [Name.show(step.name), Name.show(label(step, step.group)), positions[step.group]] }
      end

      def frames
        @dag.groups.each_value.map { |group| [Name.show(label(group, group.parent)), positions[group.parent]] }
      end

      # Returns the name of a member within its group.
      def label(member, group)
        group ? member.name.name.delete_prefix("#{group}.") : member.name
      end

      def edges
        @dag.steps.each_index.flat_map do |to|
          @dag.inputs(to).map do |from|
            hint = @dag.steps[from].options[:output]
            [from, to, hint && Name.show(hint.is_a?(Module) ? hint.name : hint.inspect)]
          end
        end
      end

      # Returns the URL of a line. A path is escaped as a whole, so it never becomes another scheme.
      def url(template, location)
        return unless template && location

        path, line = location.match(/\A(.*?)(?::(\d+))?\z/m).captures
        path = path.b.delete_prefix("#{Dir.pwd.b}/").gsub(%r{[^\w.~/-]}n) { |char| format("%%%02X", char.ord) }
        template.gsub(/\{(path|line)\}/, "{path}" => path, "{line}" => line.to_s)
      end
    end
  end
end
