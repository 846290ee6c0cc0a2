# frozen_string_literal: true

module Flowline
  # What a callable receives, worked out from data alone before anything runs.
  #
  # A source is the name of a dependency, or one of the marks below.
  # @api private
  class Binding
    # The run's context.
    CONTEXT = [:context].freeze
    # The run's +input:+.
    INPUT = [:input].freeze
    # A param of the run.
    Parameter = Struct.new(:name)
    # Several outputs as one Hash by name.
    Outputs = Struct.new(:names)
    # Something that does not fit. +final+ if no including pipeline could mend it.
    Problem = Struct.new(:sentence, :final)

    CONTEXT_NAMES = %i[ctx context].freeze
    private_constant :CONTEXT_NAMES

    # @return [Array] the sources of the positional arguments
    attr_reader :positional
    # @return [Hash{Symbol => Object}] the sources of the keywords
    attr_reader :keywords
    # @return [Array<Problem>] what does not fit
    attr_reader :problems

    # @param parameters [Array<Array(Symbol, Symbol)>] as {Signature#parameters}
    # @param dependencies [Array<Symbol>]
    # @param params [Array<Symbol>] the pipeline's
    # @param input [Boolean] whether the run is given an +input:+
    # @param condition [Boolean] whether it is a condition: its first positional is the context
    # @return [Binding]
    def self.resolve(parameters, dependencies:, params: [], input: false, condition: false)
      new(parameters, dependencies, params, input, condition)
    end

    def initialize(parameters, dependencies, params, input, condition)
      @dependencies = dependencies
      @params = params
      @left = dependencies.dup
      @positional = []
      @keywords = {}
      @problems = []
      bind_keywords(parameters)
      @left.unshift(INPUT) if input && dependencies.empty?
      bind_positionals(parameters, condition)
      bind_rest(parameters)
      freeze
    end

    private

    def bind_keywords(parameters)
      parameters.each do |kind, name|
        next unless %i[key keyreq].include?(kind)

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
      known = @dependencies + @params
      suggestion = Name.suggest(name, known)
      suggestion = "; available are #{[*known.map { |k| Name.show(k) }, "ctx"].join(", ")}" if suggestion.empty?
      problem("keyword #{name}: is neither a dependency nor a param#{suggestion}", final: false)
    end

    def bind_positionals(parameters, condition)
      positionals = parameters.select { |kind, _| %i[req opt].include?(kind) }
      rest = parameters.any? { |kind, _| kind == :rest }
      named = positionals.count { |_, name| CONTEXT_NAMES.include?(name) }
      condition &&= named.zero?
      required = positionals.count { |kind, name| kind == :req && !CONTEXT_NAMES.include?(name) }
      optional = positionals.size - named - required
      if condition && (required + optional).positive?
        required.positive? ? required -= 1 : optional -= 1
        lead = [CONTEXT]
      end
      values = [*lead, *outputs(required, optional, rest, parameters)]
      place(positionals, values, rest)
    end

    # The values for the positionals that are not called ctx.
    def outputs(required, optional, rest, parameters)
      count = @left.size
      return take(count) + [CONTEXT] if required == count + 1
      return too_many(required, count) if required > count
      return [Outputs.new(take(count))] if required + optional == 1 && !rest && count > 1

      taken = take(rest ? count : [required + optional, count].min)
      leftover(taken.size) if !@left.empty? && !taken.empty? && parameters.none? { |kind, _| kind == :keyrest }
      taken
    end

    # Puts the context where it is asked for by name, the values in order everywhere else.
    def place(positionals, values, rest)
      values = values.dup
      positionals.each do |kind, name|
        if CONTEXT_NAMES.include?(name)
          @positional << CONTEXT
        elsif !values.empty?
          @positional << values.shift
        elsif kind == :opt
          break # An optional one keeps its default, and so do those behind it.
        end
      end
      @positional.concat(values) if rest
    end

    def bind_rest(parameters)
      return if parameters.none? { |kind, _| kind == :keyrest }

      (@left - [INPUT]).each { |name| @keywords[name] = name }
    end

    def take(count)
      @left.shift(count)
    end

    def too_many(required, count)
      given = count.zero? ? "the context" : "#{@left.map { |n| n == INPUT ? "the input" : Name.show(n) }.join(", ")} and the context"
      hint = @dependencies.empty? && !@left.include?(INPUT) ? ", and the run's input: if it is given one" : ""
      problem("takes #{required} values by position, but there are only #{count + 1}: #{given}#{hint}", final: !@dependencies.empty?)
      take(count)
    end

    def leftover(taken)
      problem("takes #{taken} of its dependencies by position and leaves out #{@left.map { |n| Name.show(n) }.join(", ")}; " \
              "name them as keywords, or take all with one parameter or *rest", final: true)
    end

    def problem(sentence, final:)
      @problems << Problem.new(sentence, final)
    end
  end
end
