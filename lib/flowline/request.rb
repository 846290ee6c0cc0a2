# frozen_string_literal: true

module Flowline
  # What a run is asked to do: the keywords of +run+, checked and coerced.
  # @api private
  class Request
    # @return [Hash{Symbol => Object}] the params, coerced
    attr_reader :params
    # @return [Hash{Symbol => Object}] the values passed as +context:+
    attr_reader :values
    # @return [Object] what executes it
    attr_reader :executor
    # @return [Array<#call>] the reporters
    attr_reader :reporters

    # @param pipeline [Pipeline]
    # @param arguments [Hash] the options of {Options::RUN}, and params
    # @raise [ParamError] everything that is wrong
    def initialize(pipeline, arguments)
      @declared = pipeline.params
      @options = arguments.slice(*Options::RUN.keys)
      @problems = Options.problems(Options::RUN, @options) { "run" }
      @settings = pipeline.settings.merge(@options)
      @params = @options.fetch(:params, {}).is_a?(Hash) ? coerce(gather(arguments)) : {}
      @values = values_beside
      @executor = resolve { Executor.resolve(@settings[:executor]) }
      @reporters = resolve { Reporter.resolve(@options[:reporter]) }
      Error.raise_at_caller(ParamError.new(@problems)) unless @problems.empty?
      freeze
    end

    # @return [Boolean] whether an +input:+ was given, be it +nil+
    def input?
      @options.key?(:input)
    end

    # @return [Object, nil] the +input:+
    def input
      @options[:input]
    end

    # @return [Boolean] whether steps that don't depend on a failure still run
    def go_on?
      @settings[:on_error] == :continue
    end

    # @return [Boolean] whether type hints are checked
    def check_types?
      @settings[:check_types] == true
    end

    # @return [Hash{Symbol => Object}] the params whose values must not appear anywhere
    def secrets
      @params.select { |name, _| @declared[name].secret? }
    end

    private

    def gather(arguments)
      loose = arguments.except(*Options::RUN.keys)
      explicit = @options.fetch(:params, {}).transform_keys { |key| key.is_a?(String) ? key.to_sym : key }
      (loose.keys & explicit.keys).each { |name| @problems << "param #{Name.show(name)} is given twice, also in params:" }
      given = loose.merge(explicit)
      (given.keys - @declared.keys).each do |name|
        known = loose.key?(name) ? @declared.keys + Options::RUN.keys : @declared.keys
        @problems << "unknown param #{Name.show(name)}#{Name.suggest(name, known, known: "known are")}"
      end
      given
    end

    def coerce(given)
      @declared.transform_values do |param|
        param.value(given)
      rescue Type::Mismatch => e
        @problems << "param #{Name.show(param.name)} #{e.message}"
        nil
      end
    end

    def values_beside
      values = @options[:context] || {}
      return values unless values.is_a?(Hash)

      values = values.transform_keys { |key| key.is_a?(String) ? key.to_sym : key }
      (values.keys & @declared.keys).each { |name| @problems << "context: #{Name.show(name)} is a param; pass it as #{Name.show(name)}:" }
      values
    end

    def resolve
      yield
    rescue ParamError => e
      @problems.concat(e.problems)
      nil
    end
  end
end
