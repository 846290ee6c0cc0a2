# frozen_string_literal: true

module Flowline
  module CLI
    # The latest run of a pipeline that can be resumed, if params are given the latest one with these.
    class Unfinished
      # The form of a run's id.
      RUN_ID = /\A\d{8}T\d{6}-\h{8}\z/

      # @param pipeline [Pipeline]
      # @param params [Hash{String => Object}] some of its params, as they were given
      def initialize(pipeline, params)
        @pipeline = pipeline
        @params = params.transform_keys(&:to_sym)
        @resumable = Recording::Resumable.new(pipeline, Flowline.config.root)
      end

      # @return [String, nil] its id; nil: there is none
      # @raise [LockedError] it is alive
      # @raise [Usage] a param has no such value
      def run_id
        given = self.given
        run = @resumable.runs.find { |candidate| given.empty? || candidate.known_params.slice(*given.keys) == given }
        raise LockedError.by(run, @pipeline.name) if run&.alive

        run&.run_id
      end

      # @return [String] why there is none
      def why_not
        @resumable.why_not(nil, given)
      end

      private

      # @return [Hash{Symbol => Object}] the params that are given, coerced, without secrets
      def given
        params = @pipeline.params.each_value.select { |param| @params.key?(param.name) && !param.secret? }
        params.to_h { |param| [param.name, coerce(param)] }
      end

      def coerce(param)
        param.value(@params)
      rescue Definition::Type::Mismatch => e
        raise Usage, "param #{Name.show(param.name)} #{e.message}"
      end
    end
  end
end
