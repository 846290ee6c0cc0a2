# frozen_string_literal: true

module Flowline
  class Pipeline
    # Finds the pipelines that are run: those that others include or nest are parts, and classes without steps that others inherit
    # from are bases.
    # @api private
    module Wholes
      class << self
        # @param found [Array<Pipeline, Class>]
        # @param others [Array<Pipeline, Class>] whose parts are not run either
        # @return [Array<Pipeline>]
        # @raise [DefinitionError] a pipeline of them has mistakes
        def of(found, others = [])
          bases = found.grep(Class).map(&:superclass)
          pipelines = found.map { |object| Pipeline.from(object) }.uniq(&:object_id)
          pipelines.reject! { |pipeline| pipeline.steps.empty? && bases.include?(pipeline.owner) }
          parts = [*pipelines, *others.filter_map { |object| built(object) }].flat_map { |whole| parts_of(whole) }
          pipelines.reject { |pipeline| parts.any? { |part| part.equal?(identity(pipeline)) } }
        end

        private

        # The pipeline of a class is built again after the class was reopened.
        def identity(pipeline)
          pipeline.owner || pipeline
        end

        # @return [Pipeline, nil] nil: it is not used, since it has mistakes
        def built(object)
          Pipeline.from(object)
        rescue DefinitionError
          nil
        end

        # A class that it inherits from is no part.
        def parts_of(pipeline)
          pipeline.parts.reject { |part| part.owner && pipeline.owner&.<(part.owner) }.map { |part| identity(part) }
        end
      end
    end
  end
end
