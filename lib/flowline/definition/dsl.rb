# frozen_string_literal: true

module Flowline
  class Definition
    # The words that declare hooks, in the order in which a run calls them.
    HOOKS = %i[
      before_run before_step on_step_retry on_step_success on_step_failure on_step_skip after_step on_success on_failure after_run
    ].freeze

    # The hooks of a nested pipeline that +hooks: true+ brings.
    # @api private
    STEP_HOOKS = HOOKS.grep(/step/).freeze

    # The words that a pipeline is defined with.
    module Dsl
      # Options whose values may be blocks of the user, or contain some.
      CALLABLE = %i[when unless cache retry_if on_retry retry_delay].to_h { |option| [option, true] }.freeze
      private_constant :CALLABLE

      # Declares a step, or nests a pipeline as one.
      #
      # @overload step(name, callable = nil, **options, &block)
      #   @param name [Symbol]
      #   @param callable [#call, Class, nil] see {Step#initialize}
      #   @param options [Hash] the options of {Options::STEP}
      # @overload step(name, pipeline, **options)
      #   Its steps become part of this graph as +name.step+. Its output is the output of its last step, or a Hash of
      #   the outputs of several last steps.
      #   @param pipeline [Pipeline, Class] a pipeline or a pipeline class
      #   @param options [Hash] the options of {Options::NESTED}: +depends_on:+, +when:+, +unless:+ and +run_if:+ of its first steps;
      #     +optional:+ of all of its steps; +timeout:+ in seconds for the whole of it; +description:+
      #   @option options [Hash] :params its params by name. A Symbol names a param of this pipeline; any other value is the value, or
      #     a lambda that returns it for each run. The params that are left become params of this pipeline
      #   @option options [Boolean] :hooks (false) whether its step hooks are called for its steps
      # @return [Symbol] the name
      # @example
      #   step(:load, depends_on: :fetch, when: ->(ctx) { ctx[:live] }) { |rows| DB.insert(rows) }
      def step(name, callable = nil, **options, &block)
        add_step(name, callable, options, block, declared_location)
      end

      # Declares a param: a typed input of every run.
      # @param name [Symbol]
      # @param options [Hash] see {Param#initialize}
      # @return [Symbol] the name
      # @example
      #   param :date, type: :date, required: true, description: "The day to import"
      def param(name, **options)
        location = here
        options[:default] = bind(options[:default]) if options.key?(:default)
        add_param(Param.new(name, **options, location: location))
      rescue DefinitionError => e
        collect(e, location)
        name
      end

      # Declares a pool: a resource that only so many steps can use at a time, such as connections. A step uses it with
      # +uses:+. A second declaration replaces the size.
      # @param name [Symbol]
      # @param size [Integer] from 1 up
      # @return [Symbol] the name
      # @example
      #   pool :db, 4
      #   step(:load, depends_on: :fetch, uses: :db) { |rows| DB.insert(rows) }
      def pool(name = nil, size = nil)
        sound = (name.is_a?(Symbol) || name.is_a?(String)) && size.is_a?(Integer) && size.positive?
        location = here
        return name if wrong(sound ? [] : ["pool takes a name and a whole number from 1 up, as in `pool :db, 4`"], location)

        name = name.to_sym
        twice = pools.key?(name) && !@adopted_pools.key?(name) && !@inherited.delete([:pool, name])
        wrong(["pool #{Name.show(name)} is declared twice; remove one"], location) if twice
        problems.delete(@pool_clashes.delete(name))
        @adopted_pools.delete(name)
        pools[name] = size
        name
      end

      # Copies another pipeline's steps, params and pools, but not its hooks.
      # @param other [Pipeline, Class]
      # @option options [Symbol, Array<Symbol>] :depends_on (nil) the dependencies of its steps that have none
      # @option options [Symbol] :prefix (nil) +:clean+ renames +:validate+ to +:clean_validate+
      # @return [self]
      def include(other, **options)
        location = here
        pipeline = Pipeline.from(other)
        return wrong(["include takes a pipeline, not #{other.inspect[0, 60]}"], location) unless pipeline
        return self if wrong(Options.problems(Options::INCLUDE, options) { "include" }, location)

        prefix = Name.of(options[:prefix]) if options[:prefix]
        adopt(pipeline, wiring: Name.list(options[:depends_on]).freeze, origin: location) { |name| prefix ? :"#{prefix}_#{name}" : name }
        self
      end

      # Sets default options for the steps that follow.
      # @param options [Hash] the options of {Options::STEP}
      # @return [self]
      def defaults(**options)
        wrong(Options.problems(Options::STEP, options) { "defaults" }, here)
        @defaults = @defaults.merge(options)
        self
      end

      # Sets options of the pipeline itself, in class bodies. For a block, give them to +Flowline.define+.
      # @param options [Hash] the options of {Options::DEFINE}
      # @return [self]
      def options(**options)
        problems = Options.problems(Options::DEFINE, options) { "define" }
        wrong(problems, here) unless problems.empty?
        @settings = @settings.merge(options)
        self
      end

      # @!macro [new] hook
      #   Hooks are called in definition order, with as many arguments as they take.
      #   @yield in the +self+ around the definition
      #   @return [self]

      # @!method before_run
      #   Before anything runs: +before_run { |ctx| }+. An exception fails the run.
      #   @macro hook
      # @!method before_step
      #   Before a step is called: +before_step { |step, ctx| }+. An exception fails the step.
      #   @macro hook
      # @!method on_step_retry
      #   After an attempt of a step failed and before the next one: +on_step_retry { |step, error, attempt| }+.
      #   @macro hook
      # @!method on_step_success
      #   After a step succeeded: +on_step_success { |step, result| }+.
      #   @macro hook
      # @!method on_step_failure
      #   After a step failed: +on_step_failure { |step, error| }+.
      #   @macro hook
      # @!method on_step_skip
      #   After a step ended without being called: +on_step_skip { |step, reason| }+.
      #   @macro hook
      # @!method after_step
      #   After a step was called: +after_step { |step, result| }+.
      #   @macro hook
      # @!method on_success
      #   After a run succeeded: +on_success { |result, ctx| }+.
      #   @macro hook
      # @!method on_failure
      #   After a run failed: +on_failure { |error, ctx| }+.
      #   @macro hook
      # @!method after_run
      #   After every run, as the last hook: +after_run { |result, ctx| }+.
      #   @macro hook
      HOOKS.each do |word|
        define_method(word) do |callable = nil, &block|
          hook = bind(block || callable)
          return wrong(["#{word} needs a block"], here) unless hook.respond_to?(:call)

          (hooks[word] ||= []) << hook
          self
        end
      end

      # Adds the step that {#step} declares. In the bare form the caller is {BareDsl#step}.
      # @param location [Thread::Backtrace::Location, nil] of the user's line
      # @return [Symbol] the name
      # @api private
      def add_step(name, callable, options, block, location)
        pipeline = Pipeline.from(callable) if callable
        return nest(name, pipeline, SourceLocation.text(location), options, block) if pipeline

        options = defaults_for(callable, options).merge(options) unless @defaults.empty?
        if @bare
          block ? block = @bare.bind(block) : callable = @bare.bind(callable)
          options = bind_options(options) unless options.empty?
        end
        step = Step.declare(name, callable, block, options, location)
        put(step)
        step.name
      rescue DefinitionError => e
        collect(e, SourceLocation.text(location))
        name
      end

      private

      # Returns the defaults of a step. Options that its class declares take precedence. Options about items apply only to
      # steps with items, and options about retries only to steps with retries.
      def defaults_for(callable, given)
        declared = Step.declared(callable)
        each, retries = %i[each retries].map { |option| [given, declared, @defaults].any? { |options| options[option] } }
        @defaults.except(*declared.keys, *(Step::OF_ITEMS unless each), *(Step::OF_RETRIES unless retries))
      end

      def bind_options(options)
        return options unless options.any? { |name, _| CALLABLE[name] }

        options.to_h do |name, value|
          next [name, value] unless CALLABLE[name]

          [name, value.is_a?(Hash) ? value.transform_values { |inner| bind(inner) } : bind(value)]
        end
      end

      def add_param(param)
        known = params[param.name] unless @inherited.delete([:param, param.name])
        if known && !(known == param && parts.any? { |part| known.equal?(part.params[param.name]) })
          wrong(["param #{Name.show(param.name)} is declared twice: #{known.location} and #{param.location}; rename one"], nil)
        end
        params[param.name] = param
        param.name
      end
    end
  end
end
