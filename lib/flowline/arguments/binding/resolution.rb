# frozen_string_literal: true

module Flowline
  module Arguments
    class Binding
      # Resolves the parameters of a callable into a {Binding}.
      # @api private
      class Resolution
        POSITIONAL = %i[req opt].freeze
        private_constant :POSITIONAL

        def initialize(parameters, dependencies, params, input, first)
          @dependencies = dependencies
          @params = params
          @left = dependencies.dup
          @positional = []
          @keywords = {}
          @problems = []
          kinds = parameters.group_by(&:first)
          bind_keywords(kinds) if kinds.key?(:keyreq) || kinds.key?(:key)
          @left.unshift(INPUT) if input && dependencies.empty? && first != ITEM
          positionals = kinds.key?(:opt) ? parameters.select { |kind, _| POSITIONAL.include?(kind) } : kinds[:req] || []
          bind_positionals(positionals, kinds.key?(:rest), kinds.key?(:keyrest), first)
          (@left - [INPUT]).each { |name| @keywords[name] = name } if kinds.key?(:keyrest)
        end

        # @return [Binding]
        def binding
          Binding.new(@positional, @keywords, @problems)
        end

        private

        def bind_keywords(kinds)
          [*kinds[:keyreq], *kinds[:key]].each do |kind, name|
            source = by_name(name)
            if source
              @keywords[name] = source
            elsif kind == :keyreq
              missing_keyword(name)
            end
          end
          @left -= @keywords.values
        end

        def by_name(name)
          return name if @dependencies.include?(name)
          return Parameter.new(name) if @params.include?(name)
          return CONTEXT if CONTEXT_NAMES.include?(name)

          candidates = @dependencies.select { |dependency| dependency.end_with?("_#{name}") }
          return candidates.first if candidates.size < 2

          shown = candidates.map { |candidate| "#{Name.show(candidate)}:" }.join(" and ")
          problem("keyword #{name}: could be #{shown}; use a whole name", final: true)
          CONTEXT
        end

        def missing_keyword(name)
          suggestion = Name.suggest(name, [*@dependencies, *@params, :ctx], known: "available are")
          problem("keyword #{name}: is neither a dependency nor a param#{suggestion}", final: false)
        end

        def bind_positionals(positionals, rest, others, first)
          named = positionals.count { |_, name| CONTEXT_NAMES.include?(name) }
          required = positionals.count { |kind, name| kind == :req && !CONTEXT_NAMES.include?(name) }
          optional = positionals.size - named - required
          first = nil if first == CONTEXT && named.positive?
          leads = first && (required + optional).positive? ? 1 : 0
          @lead = leads == 1 || (first == ITEM && rest) ? [first] : []
          required.positive? ? required -= leads : optional -= leads
          values = [*@lead, *outputs(required, optional, rest, others)]
          assign(positionals, values, rest)
        end

        # Returns the sources of the positional parameters that are not called ctx.
        def outputs(required, optional, rest, others)
          count = @left.size
          return take(count) + [CONTEXT] if required == count + 1 && @lead.first != CONTEXT
          return too_many(required, count) if required > count
          return [Outputs.new(take(count))] if required + optional == 1 && !rest && count > 1

          taken = take(rest ? count : [required + optional, count].min)
          leftover(taken.size) unless @left.empty? || taken.empty? || others
          taken
        end

        # Assigns the context to parameters that are named after it, and the values in order to the others. An optional
        # parameter without a value uses its default, and so do the optional parameters after it.
        def assign(positionals, values, rest)
          values = values.dup
          defaulted = false
          positionals.each do |kind, name|
            next if defaulted && kind == :opt

            if CONTEXT_NAMES.include?(name)
              @positional << CONTEXT
            elsif values.empty?
              defaulted = true
            else
              @positional << values.shift
            end
          end
          @positional.concat(values) if rest
        end

        def take(count)
          @left.shift(count)
        end

        def too_many(required, count)
          given = [*@lead, *@left, CONTEXT].uniq # A condition begins with the context, and gets it once.
          hint = @dependencies.empty? && @lead.empty? && !@left.include?(INPUT) ? ", and the run's input: if it is given one" : ""
          shown = Name.list_up(given.map { |source| show(source) })
          problem("takes #{count_of(required + @lead.size)} by position, but gets only #{given.size}: #{shown}#{hint}", final: !@dependencies.empty?)
          take(count)
        end

        def count_of(values)
          values == 1 ? "1 value" : "#{values} values"
        end

        def show(source)
          { CONTEXT => "the context", INPUT => "the input", ITEM => "the item" }.fetch(source) { Name.show(source) }
        end

        def leftover(taken)
          problem("takes #{taken} of its dependencies by position and leaves out #{Name.list_up(@left)}; " \
                  "name them as keywords, or take all with one parameter or *rest", final: true)
        end

        def problem(sentence, final:)
          @problems << Problem.new(sentence, final)
        end
      end
    end
  end
end
