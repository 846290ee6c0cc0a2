# frozen_string_literal: true

module Flowline
  class Definition
    # Copies the steps, params and pools of other pipelines into a definition: of nested pipelines, of included ones, and
    # of the class that it inherits from.
    # @api private
    module Composition
      # Copies all parts of another pipeline: steps, params, pools and hooks.
      def take(pipeline)
        adopt(pipeline, wiring: [], hooks: true) { |name| name }
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
        pools.each_key { |name| @inherited[[:pool, name]] = true }
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

      def nest(name, pipeline, location, options, block)
        name = Name.of(name)
        wrong(["step #{Name.show(name)}: give either a block or a pipeline, not both"], location) if block
        return name if wrong(Options.problems(Options::NESTED, options) { "step #{Name.show(name)} (a nested pipeline)" }, location)

        inside = ->(inner) { :"#{name}.#{inner}" }
        replace(name) if @inherited.delete(name)
        group = group(name, pipeline, bind_options(options), location, &inside)
        groups << group
        adopt(pipeline, wiring: group.depends_on, group: group, origin: location, hooks: options[:hooks] == true, &inside)
        name
      end

      def group(name, pipeline, options, location, &inside)
        Group.new(name, leaves: pipeline.dag.leaves.to_h { |leaf| [leaf, inside.call(leaf)] }, location: location,
                        depends_on: Name.list(options[:depends_on]).freeze, options: options.except(:depends_on, :params, :hooks),
                        params: bound_params(name, pipeline, options[:params] || {}, location),
                        hooks: options[:hooks] ? pipeline.hooks.slice(*STEP_HOOKS) : {})
      end

      # Binds params of a nested pipeline.
      # @return [Hash{Symbol => Group::BoundParam}]
      def bound_params(group, pipeline, given, location)
        given.each_with_object({}) do |(name, value), bound|
          param = pipeline.params[name = Name.of(name)]
          bound[name] = Group::BoundParam.new(param, bind(value)) if param
          next if param

          unknown = "#{Name.show(name)}#{Name.suggest(name, pipeline.params.keys, known: "it has")}"
          wrong(["step #{Name.show(group)}: params: the nested pipeline has no param #{unknown}"], location)
        rescue Type::Mismatch => e
          wrong(["step #{Name.show(group)}: params: #{Name.show(name)} #{e.message}"], location)
        end
      end

      # Copies the steps, groups, params and pools of another pipeline under the names that the block returns.
      # Names of dependencies that it does not have stay, because the including pipeline may have them.
      # @param group [Group, nil] the nested pipeline that they become part of
      # @param origin [String, nil] the source location of the user's line
      # @param hooks [Boolean] whether the hooks of its nested pipelines are called, too
      def adopt(pipeline, wiring:, group: nil, origin: nil, hooks: false)
        own = pipeline.dag
        rename = ->(name) { own.index.key?(name) || own.groups.key?(name) ? yield(name) : name }
        parts << pipeline
        own.groups.each_value { |inner| groups << inner.placed(wiring: wiring, group: group&.name, hooks: hooks, &rename) }
        own.steps.each { |step| put(step.placed(wiring: wiring, group: group, origin: origin, &rename)) }
        pipeline.params.each_value { |param| adopt_param(param) unless group&.params&.key?(param.name) }
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
        problems << (@pool_clashes[name] = DefinitionError.new(sentence, location: here))
      end

      def adopt_param(param)
        known = params[param.name]
        param_clash(known, param) if known && known != param
        params[param.name] ||= param
      end

      def param_clash(*both)
        name = Name.show(both.first.name)
        sentence = "param #{name} is declared differently in two pipelines (#{both.filter_map(&:location).join(" and ")}); declare it alike, " \
                   "rename one, or bind it where the pipeline is nested, as in params: { #{name}: :other }"
        problems << DefinitionError.new(sentence)
      end
    end
  end
end
