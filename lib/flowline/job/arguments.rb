# frozen_string_literal: true

module Flowline
  module Job
    # The params that a job is given, which are checked when it is pushed: there the caller can correct them. Defaults are left to
    # the run, because they may need what only the worker has.
    # @api private
    module Arguments
      # @param job_class [Class]
      # @param given [Hash{Symbol, String => Object}, Object]
      # @return [Hash{Symbol => Object}] the params
      # @raise [ParamError] lists every mistake
      def self.check(job_class, given)
        pipeline = job_class.pipeline
        unless given.is_a?(Hash)
          raise ParamError, ["#{job_class} takes the params of its pipeline by name, as in #{example(pipeline)}, not #{TypeHints.describe(given)}"]
        end

        params = given.transform_keys(&:to_sym)
        problems = unknown(pipeline, params) + pipeline.params.each_value.filter_map { |param| problem(param, params) }
        Error.raise_at_caller(ParamError.new(problems)) unless problems.empty?
        params
      end

      # @param pipeline [Pipeline]
      # @param params [Hash{Symbol, String => Object}]
      # @return [Hash] the params
      # @raise [ParamError] names every secret one
      def self.refuse_secrets(pipeline, params)
        secrets = pipeline.params.each_value.select { |param| param.secret? && [param.name, param.name.name].any? { |name| params.key?(name) } }
        Error.raise_at_caller(ParamError.new(secrets.map { |param| secret(param) })) if secrets.any?
        params
      end

      # @return [String]
      def self.example(pipeline)
        name = pipeline.params.each_value.reject(&:secret?).first&.name
        "(#{name ? "#{name}: …" : ""})"
      end

      def self.unknown(pipeline, params)
        known = pipeline.params.keys
        (params.keys - known).map { |name| "unknown param #{Name.show(name)}#{Name.suggest(name, known, known: "known are")}" }
      end

      def self.problem(param, params)
        return secret(param) if param.secret? && params.key?(param.name)

        param.value(params) if params.key?(param.name) || param.required?
        nil
      rescue Definition::Type::Mismatch => e
        "param #{Name.show(param.name)} #{e.message}"
      end

      # A queue, its web pages and its log show what a job is given.
      def self.secret(param)
        "param #{Name.show(param.name)} is secret and must not go through a queue, where others can read it; let the worker find it, as with " \
          "param :#{param.name}, secret: true, default: -> { ENV.fetch(\"#{param.name.to_s.upcase}\") }"
      end
      private_class_method :example, :unknown, :problem, :secret
    end
  end
end
