# frozen_string_literal: true

require_relative "definition/options"
require_relative "definition/dsl"
require_relative "definition/composition"

module Flowline
  # The declarations of a pipeline as inert data. The words of {Dsl} write them; {Pipeline} is built from them.
  class Definition
    autoload :Declarations, "#{__dir__}/definition/declarations"
    autoload :Frozen, "#{__dir__}/definition/frozen"
    autoload :Group, "#{__dir__}/definition/group"
    autoload :Type, "#{__dir__}/definition/type"

    include Dsl
    include Composition

    # The words of a definition, in a block or in a class body.
    WORDS = (%i[step param pool include defaults options] + HOOKS).freeze

    # @return [Array<Step>]
    attr_reader :steps
    # @return [Array<Group>] the nested pipelines
    attr_reader :groups
    # @return [Hash{Symbol => Param}]
    attr_reader :params
    # @return [Hash{Symbol => Integer}] the pools and their sizes
    attr_reader :pools
    # @return [Hash{Symbol => Array<#call>}]
    attr_reader :hooks
    # @return [Hash{Symbol => Object}] the options of {Options::DEFINE}
    attr_reader :settings
    # @return [Array<Pipeline>] the pipelines that it includes or nests
    attr_reader :parts
    # @return [Array(String, Integer), nil] the file and the line of its block or class
    attr_accessor :source_location
    # @return [Array<DefinitionError>] the mistakes found so far
    attr_reader :problems

    # @param settings [Hash] the options of {Options::DEFINE}
    def initialize(**settings)
      Loading.runs
      @steps = []
      @groups = []
      @params = {}
      @pools = {}
      @hooks = {}
      @parts = []
      @problems = []
      @settings = {}
      @defaults = {}
      @adopted_pools = {}
      @pool_clashes = {}
      @inherited = {}
      options(**settings)
    end

    # Reads a definition block. A block without parameters is called in the bare form; any other gets this object.
    # @return [self]
    # @api private
    def read(&block)
      return self unless block

      @source_location = block.source_location
      return tap(&block) unless block.parameters.empty? && block.arity.zero?

      BareDsl.read(self, block) { |bare| @bare = bare }
      self
    end

    # Calls the block for a declaration that was made at another source location.
    # @param location [Thread::Backtrace::Location, nil]
    # @api private
    def declared_at(location)
      @location = location
      yield
    ensure
      @location = nil
    end

    private

    # @return [Thread::Backtrace::Location, nil] of the user's line that declares something
    def declared_location
      @location || SourceLocation.of_caller(3)
    end

    # @return [String, nil] the same as +file:line+
    def here
      SourceLocation.text(declared_location)
    end

    # Binds a block of the bare form to the +self+ around the definition.
    def bind(callable)
      @bare ? @bare.bind(callable) : callable
    end

    def collect(error, location)
      problems.concat(error.problems.map { |problem| problem.location ? problem : DefinitionError.new(problem.message, location: location) })
    end

    # @return [Boolean] whether there are any sentences
    def wrong(sentences, location)
      problems.concat(sentences.map { |sentence| DefinitionError.new(sentence, location: location) })
      !sentences.empty?
    end
  end
end

require_relative "definition/bare_dsl"
require_relative "definition/bound_block"
require_relative "definition/source_location"
