# frozen_string_literal: true

module Flowline
  class Definition
    # Copies the steps, params and pools of other pipelines into a definition: of nested pipelines, of included ones, and
    # of the class that it inherits from.
    # @api private
    module Composition
      # Copies all parts of another pipeline: steps, params, pools and hooks.
      def take(pipeline)
        adopt(pipeline, wiring: []) { |name| name }
        @adopted_pools.clear # They count as its own.
        hooks.merge!(pipeline.hooks.transform_values(&:dup))
        self
      end

      # Starts as a copy of another pipeline, for classes that inherit. A second declaration replaces what was inherited.
      def inherit(pipeline)
        take(pipeline)
        @settings = pipeline.settings.except(:name).merge(settings)
        [*steps, *groups].each { |member| @inherited[member.name] = true }
        params.each_key { |name| @inherited[[:param, name]] = true }
        self
      end

      private

      # Adds a step, or replaces an inherited one of its name.
      def put(step)
        return steps << step if @inherited.empty?

        at = replace(step.name) if @inherited.delete(step.name)
        steps.insert(at || -1, step)
      end

      # Removes an inherited step, or an inherited nested pipeline with all its steps.
      # @return [Integer, nil] the position of the step
      def replace(name)
        gone = groups.each_with_object([name]) { |group, names| names << group.name if names.include?(group.parent) }
        groups.reject! { |group| gone.include?(group.name) }
        at = steps.index { |step| step.name == name }
        steps.reject! { |step| step.name == name || gone.include?(step.group) }
        at
      end

      def nest(name, pipeline, place, options, block)
        name = Name.of(name)
        wrong(["step #{Name.show(name)}: give either a block or a pipeline, not both"], place) if block
        return name if wrong(Options.problems(Options::NESTED, options) { "step #{Name.show(name)} (a nested pipeline)" }, place)

        options = bind_options(options)
        inside = ->(inner) { :"#{name}.#{inner}" }
        wiring = Name.list(options[:depends_on]).freeze
        replace(name) if @inherited.delete(name)
        leaves = pipeline.dag.leaves.to_h { |leaf| [leaf, inside.call(leaf)] }
        groups << Group.new(name, leaves: leaves, description: options[:description], place: place)
        adopt(pipeline, wiring: wiring, group: name, conditions: options.slice(:when, :unless), &inside)
        name
      end

      # Copies the steps, groups, params and pools of another pipeline under the names that the block returns.
      # Names of dependencies that it does not have stay, because the including pipeline may have them.
      def adopt(pipeline, wiring:, group: nil, conditions: {})
        own = pipeline.dag
        rename = ->(name) { own.index.key?(name) || own.groups.key?(name) ? yield(name) : name }
        parts << pipeline
        own.groups.each_value { |inner| groups << inner.placed(group: group, &rename) }
        own.steps.each { |step| put(step.placed(wiring: wiring, group: group, conditions: conditions, &rename)) }
        pipeline.params.each_value { |param| adopt_param(param) }
        pipeline.pools.each { |name, size| adopt_pool(name, size) }
      end

      # Adopts a pool, unless the pipeline declares a pool of this name itself.
      def adopt_pool(name, size)
        return if pools.key?(name) && !@adopted_pools.key?(name)

        known = @adopted_pools[name]
        pool_clash(name, known, size) if known && known != size
        pools[name] = @adopted_pools[name] = size
      end

      def pool_clash(name, *sizes)
        return if @pool_clashes[name]

        sentence = "pool #{Name.show(name)} has #{sizes.join(" in one pipeline and ")} in another; declare it here"
        problems << (@pool_clashes[name] = DefinitionError.new(sentence, place: SourceLocation.of_caller_as_text))
      end

      def adopt_param(param)
        known = params[param.name]
        if known && known != param
          problems << DefinitionError.new("param #{Name.show(param.name)} is declared differently in two pipelines " \
                                          "(#{[known.place, param.place].compact.join(" and ")}); declare it alike, or rename one")
        end
        params[param.name] ||= param
      end
    end
  end
end
