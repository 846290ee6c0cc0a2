# frozen_string_literal: true

module Flowline
  class Definition
    # A nested pipeline within a graph, with the options that it was nested with. Its steps are part of the graph; it has no
    # step of its own.
    class Group
      autoload :BoundParam, "#{__dir__}/group/bound_param"

      NONE = {}.freeze
      NOTHING = [].freeze
      private_constant :NONE, :NOTHING

      # @return [Symbol] +clean+, or +outer.clean+ within another
      attr_reader :name
      # @return [Symbol, nil] the nested pipeline it belongs to
      attr_reader :parent
      # @return [Hash{Symbol => Symbol}] the steps and nested pipelines whose outputs are its output, by the names that they
      #   have within it
      attr_reader :leaves
      # @return [Array<Symbol>] the steps and nested pipelines that its first steps depend on
      attr_reader :depends_on
      # @return [Hash{Symbol => Object}] the options of {Options::NESTED} that apply to it as a whole: +when+, +unless+, +run_if+,
      #   +optional+, +timeout+ and +description+
      attr_reader :options
      # @return [String, nil] its source location as +file:line+
      attr_reader :location
      # @return [Array<Symbol>] as {#depends_on}, by the names that its own pipeline had for them when it was defined
      # @api private
      attr_reader :labels
      # @return [Hash{Symbol => BoundParam}] its params that +params:+ binds
      # @api private
      attr_reader :params
      # @return [Hash{Symbol => Array<#call>}] the hooks of its pipeline that +hooks: true+ calls for its steps
      # @api private
      attr_reader :hooks

      # @api private
      def initialize(name, leaves:, depends_on: NOTHING, options: NONE, location: nil, params: NONE, hooks: NONE)
        @name = name
        @leaves = leaves.freeze
        @depends_on = @labels = depends_on
        @options = options.freeze
        @location = location
        @params = params.freeze
        @hooks = hooks.freeze
        freeze
      end

      # @return [String, nil] its purpose
      def description
        options[:description]
      end

      # @return [Numeric, nil] the seconds from the start of its first step to the end of its last
      def timeout
        options[:timeout]
      end

      # Returns nothing: a nested pipeline is not called for items.
      # @api private
      def each; end

      # @return [Array<Array(#call, Boolean)>] its conditions and what each must return
      # @api private
      def conditions
        { when: true, unless: false }.filter_map { |word, wanted| [options[word], wanted] if options[word] }
      end

      # @return [Boolean] whether its steps still run after the run was stopped
      # @api private
      def lasting?
        options[:run_if] == :always
      end

      # @param name [Symbol] a step or a nested pipeline
      # @return [Boolean] whether it is in this group
      # @api private
      def holds?(name)
        name.start_with?("#{self.name}.")
      end

      # Returns the group as part of another pipeline, with the names that the block returns.
      # @param wiring [Array<Symbol>] its dependencies, if it has none
      # @param group [Symbol, nil] the nested pipeline that it becomes part of
      # @param hooks [Boolean] whether its hooks are called there
      # @api private
      def placed(wiring: NOTHING, group: nil, hooks: true)
        copy = dup
        copy.instance_exec do
          @labels = wiring if labels.empty?
          @depends_on = depends_on.empty? ? wiring : depends_on.map { |name| yield name }.freeze
          @leaves = leaves.transform_values { |name| yield name }.freeze
          @parent = parent ? yield(parent) : group
          @name = yield name
          @hooks = NONE unless hooks
          freeze
        end
      end
    end
  end
end
