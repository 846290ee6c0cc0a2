# frozen_string_literal: true

module Flowline
  # Raised for a pipeline that cannot run as it is written. One error lists all mistakes: see {#problems}.
  class DefinitionError < Error
    # The maximum number of problems in a message; {#problems} has all of them.
    SHOWN = 20

    # @return [String, nil] the source location in the user's code, as +file:line+
    attr_reader :location

    # @param sentence [String, nil] the mistake and how to correct it
    # @param location [String, nil] +file:line+
    def initialize(sentence = nil, location: nil)
      @location = location
      super(location ? "#{sentence} (#{location})" : sentence)
    end

    # @return [Array<DefinitionError>] all mistakes; only itself if there is one
    def problems
      @problems || [self]
    end

    # @return [String] the sentence, or the list of them
    def to_s
      return super unless @problems

      DefinitionError.enumerate(@problems.first(SHOWN).map(&:message), @problems.size)
    end

    # @param sentences [Array<String>] problems
    # @param count [Integer] how many there are
    # @return [String] the list of them; the first of a long one
    # @api private
    def self.enumerate(sentences, count = sentences.size)
      shown = sentences.first(SHOWN).map { |sentence| "  - #{sentence}" }
      shown << "  … and #{count - SHOWN} more" if count > SHOWN
      "#{count} problems:\n#{shown.join("\n")}"
    end

    # @param problems [Array<DefinitionError>]
    # @return [DefinitionError] one error for all of them; of their class if they share one
    # @api private
    def self.of(problems)
      return problems.first.dup if problems.one? # It may be raised again elsewhere.

      error = problems.map(&:class).uniq.one? ? problems.first.dup : DefinitionError.new
      error.tap { error.instance_variable_set(:@problems, problems) }
    end

    # Raises one error for these problems, if there are any.
    # @api private
    def self.check(problems)
      raise_at_caller(of(problems)) unless problems.empty?
    end
  end

  # Raised for steps that depend on each other in a cycle.
  class CycleError < DefinitionError
    # The number of steps of a long cycle that the message names.
    NAMED = 12

    # @return [Array<Symbol>] the steps in the direction the data flows, the first one again at the end
    attr_reader :path

    # @param path [Array<Symbol>]
    # @param location [String, nil]
    def initialize(path, location: nil)
      @path = path
      names = path.map { |name| Name.show(name) }
      names = [*names.first(NAMED / 2), "… (#{path.size - 1} steps)", *names.last(NAMED / 2)] if names.size > NAMED + 1
      super("steps depend on each other in a cycle: #{names.join(" → ")}; remove one of these dependencies", location: location)
    end
  end

  # Raised for a step that depends on a step that doesn't exist.
  class MissingDependencyError < DefinitionError
    # @return [Symbol] the step that depends
    attr_reader :step_name
    # @return [Symbol] the name of the missing dependency
    attr_reader :dependency
    # @return [Symbol, nil] the step with the nearest name
    attr_reader :suggestion

    # @param step_name [Symbol]
    # @param dependency [Symbol]
    # @param suggestion [Symbol, nil]
    # @param location [String, nil]
    def initialize(step_name, dependency, suggestion: nil, location: nil)
      @step_name = step_name
      @dependency = dependency
      @suggestion = suggestion
      way_out = suggestion ? "did you mean #{Name.show(suggestion)}?" : "define it, or include a pipeline that has it"
      super("step #{Name.show(step_name)} depends on #{Name.show(dependency)}, which doesn't exist; #{way_out}", location: location)
    end
  end

  # Raised for two steps with the same name.
  class DuplicateStepError < DefinitionError
    # @return [Symbol] the name
    attr_reader :step_name
    # @return [Array<String, nil>] the source locations of both
    attr_reader :locations

    # @param step_name [Symbol]
    # @param locations [Array<String, nil>] the source locations of the first and the second
    def initialize(step_name, locations: [])
      @step_name = step_name
      @locations = locations
      where = locations.compact.empty? ? "" : ": #{locations.map { |location| location || "?" }.join(" and ")}"
      super("step #{Name.show(step_name)} is defined twice#{where}; rename one, or include the other pipeline with a prefix:")
    end
  end
end
