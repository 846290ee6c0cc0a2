# frozen_string_literal: true

module Flowline
  class Pipeline
    # The code of a pipeline's steps and conditions: fingerprints and digests, computed lazily.
    # @api private
    class Code
      # The pairs of a step without conditions.
      UNCONDITIONAL = [[].freeze, [].freeze].freeze
      private_constant :UNCONDITIONAL

      # @param dag [DAG]
      def initialize(dag)
        @dag = dag
        @steps = dag.steps
        @fingerprints = []
        @digests = []
        @conditions = {}
      end

      # @param id [Integer] a step
      # @return [Identity::Fingerprint] of its callable
      def fingerprint(id)
        @fingerprints[id] ||= @steps[id].then { |step| Identity::Fingerprint.new(step.callable, version: step.options[:version]) }
      end

      # Returns what may change of a step: its fingerprint, and those of its conditions.
      # @param id [Integer]
      # @return [String, Array]
      def now(id)
        code = fingerprint(id).value
        step = @steps[id]
        code = [code, *pairs(step).map { |list| list.map(&:value) }] if conditional?(step)
        step.group ? [code, *surroundings(step)] : code
      end

      # Returns a digest of the step: its fingerprint, its inputs, its conditions and its +run_if:+.
      # @param id [Integer]
      # @param code [String, Array] what {#now} has returned of it
      # @return [String] frozen
      def digest(id, code = now(id))
        known, digest = @digests[id]
        return digest if known == code # The rest of a step is frozen.

        step = @steps[id]
        digest = Native.digest([code, step.labels, step.depends_on.map { |name| @dag.ends(name) }, step.options[:run_if], step.each]).freeze
        @digests[id] = [code, digest]
        digest
      end

      # @return [Array<String>] the digests of all steps, frozen
      def digests
        @steps.each_index.map { |id| digest(id) }
      end

      # Returns why no recorded output of a step can be restored: an edit of code that cannot be seen would not be noticed.
      # @return [Hash{Integer => String}] by step, of those few for which that is so
      def unrestorable
        @unrestorable ||= @steps.each_index.with_object({}) { |id, known| (why = unseen(id)) && known[id] = why }.freeze
      end

      # @param step [Step]
      # @return [Array<Identity::Fingerprint>] of its +when:+ and +unless:+
      def conditions(step)
        pairs(step).flatten(1)
      end

      private

      def unseen(id)
        step = @steps[id]
        unseen = fingerprint(id).unseen
        return "its code cannot be seen (#{unseen}); give version:" if unseen

        %i[when unless].zip(pairs(step)) do |word, list|
          unseen = list.filter_map(&:unseen).first
          return "the code of its #{word}: cannot be seen (#{unseen}); give version:" if unseen
        end
        unseen_around(step) if step.group
      end

      # Returns what the nested pipelines around a step add to its identity: conditions and bound params.
      def surroundings(step)
        [@dag.entered(step).map { |group| group_conditions(group).map(&:value) }, bound(step).map { |param| Identity::Digest.try(param.identity) }]
          .reject(&:empty?)
      end

      def unseen_around(step)
        unseen = @dag.entered(step).flat_map { |group| group_conditions(group) }.filter_map(&:unseen).first
        return "the code of a condition of #{Name.show(step.group)} cannot be seen (#{unseen}); give version:" if unseen

        param = bound(step).find { |bound| Identity::Digest.try(bound.identity).nil? }
        "the value of the param #{Name.show(param.name)} cannot be digested" if param
      end

      def bound(step)
        @dag.within(step.group).flat_map { |group| group.params.values }
      end

      def group_conditions(group)
        @conditions[group.name] ||= group.conditions.map { |condition, _| Identity::Fingerprint.new(condition, version: nil) }
      end

      def conditional?(step)
        options = step.options
        !options.empty? && (options.key?(:when) || options.key?(:unless))
      end

      # The fingerprints of +when:+, and those of +unless:+.
      def pairs(step)
        return UNCONDITIONAL unless conditional?(step)

        @conditions[step.name] ||= step.options.values_at(:when, :unless).map do |given|
          [given].compact.map { |condition| Identity::Fingerprint.new(condition, version: step.options[:version]) }
        end
      end
    end
  end
end
