# frozen_string_literal: true

module Flowline
  class Definition
    class Group
      # A param of a nested pipeline that +params:+ binds to a param of the outer pipeline, or to a value.
      # @api private
      class BoundParam
        # @param dag [DAG]
        # @param params [Hash{Symbol => Param}] of the pipeline
        # @return [Array<DefinitionError>] the bindings to params that the pipeline does not have, or that would reveal a secret
        def self.problems(dag, params)
          dag.groups.each_value.flat_map do |group|
            known = dag.within(group.parent).inject(params) { |outer, above| outer.merge(above.params) }
            group.params.each_value.filter_map do |param|
              sentence = param.problem(known)
              DefinitionError.new("step #{Name.show(group.name)}: params: #{sentence}", location: group.location) if sentence
            end
          end
        end

        # @return [Symbol] its name in the nested pipeline
        attr_reader :name
        # @return [Symbol, nil] the outer param that it is bound to; nil: to a value
        attr_reader :source

        # @param param [Param] of the nested pipeline
        # @param given [Symbol, Object] the name of the outer param; or the value, or a lambda that returns it for each run
        # @raise [Type::Mismatch] the value is none that the param accepts
        def initialize(param, given)
          @param = param
          @name = param.name
          @source = given if given.is_a?(Symbol)
          @given = Frozen.copy(given)
          value({}) unless source || given.respond_to?(:call)
          freeze
        end

        # @return [Boolean] whether its value is redacted everywhere
        def secret?
          @param.secret?
        end

        # @param known [Hash{Symbol => Param, BoundParam}] the params of the outer pipeline
        # @return [String, nil] what is wrong with what it is bound to
        def problem(known)
          return if source.nil?

          outer = known[source]
          if outer.nil?
            "#{Name.show(name)} is bound to the param #{Name.show(source)}, which doesn't exist#{Name.suggest(source, known.keys)}; " \
              "to give the Symbol itself, write #{Name.show(name)}: -> { #{source.inspect} }"
          elsif secret? && !outer.secret?
            "#{Name.show(name)} is secret, and is bound to the param #{Name.show(source)}, which is not; " \
              "declare #{Name.show(source)} with secret: true"
          end
        end

        # @param outer [Hash{Symbol => Object}] the params of the outer pipeline in a run
        # @return [Object] its value in that run
        # @raise [Type::Mismatch] its message is the second half of a sentence, after the name of the param
        def value(outer)
          @param.value(name => given(outer))
        end

        # @return [Object] the same for the same binding, for digests: what it is bound to
        def identity
          [name, source, (@given unless source)]
        end

        private

        def given(outer)
          return outer[source] if source

          @given.respond_to?(:call) ? @param.ask { @given.call } : @given
        end
      end
    end
  end
end
