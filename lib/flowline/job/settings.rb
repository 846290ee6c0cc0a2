# frozen_string_literal: true

module Flowline
  module Job
    # The declaration of a job class: its pipeline, the options of its runs, and what becomes of the job. Of a pipeline class only
    # the name is held, because the class is another one after a reload.
    # @api private
    class Settings
      choice = ->(*values) { Definition::Options::Option.new(values.map(&:inspect).join(", ").sub(/, (?!.*, )/, " or "), values.method(:include?)) }
      finite = ->(value) { value.is_a?(Numeric) && value.real? && value.finite? && value >= 0 }
      seconds = Definition::Options::Option.new("a number of seconds", finite)
      # Options of the job itself.
      OWN = { on_locked: choice.call(:retry, :discard, :raise), locked_wait: seconds, on_failure: choice.call(:raise, :discard) }.freeze
      # The options of a run that the job decides.
      DECIDED = %i[params resume from only dry_run].freeze
      # The options that a declaration may have.
      KNOWN = Definition::Options::RUN.except(*DECIDED).merge(OWN).freeze
      private_constant :OWN, :DECIDED, :KNOWN

      # @return [Symbol] +:retry+, +:discard+ or +:raise+
      attr_reader :on_locked
      # @return [Numeric] seconds
      attr_reader :locked_wait
      # @return [Hash{Symbol => Object}] the options of runs
      attr_reader :run_options

      # @param job_class [Class]
      # @param source [Class, Pipeline, String, Symbol, Proc, nil] nil: the job itself says it
      # @param options [Hash]
      # @raise [DefinitionError] lists every mistake
      def initialize(job_class, source, options)
        @job_class = job_class
        @source = source.is_a?(Class) && source.name ? source.name : source
        DefinitionError.check(mistakes(options).map { |sentence| DefinitionError.new(sentence) })
        @on_locked = options.fetch(:on_locked, :retry)
        @locked_wait = options.fetch(:locked_wait, 30)
        @on_failure = options.fetch(:on_failure, :raise)
        @run_options = options.except(*OWN.keys).freeze
        freeze
      end

      # @param source [Class, Pipeline, String, Symbol, Proc, nil] instead of the one that is declared
      # @return [Pipeline]
      # @raise [NameError] there is no such constant
      # @raise [DefinitionError] it is no pipeline
      def pipeline(source = nil)
        source ||= @source or raise DefinitionError, "#{@job_class}: which pipeline does it run? Write `pipeline Import` into the class"
        found = case source
                when ::Proc then source.call
                when ::String, ::Symbol then Object.const_get(source)
                else source
                end
        Pipeline.from(found) or
          raise DefinitionError, "#{@job_class}: pipeline is #{Module === found ? found : TypeHints.describe(found)}, not a pipeline"
      end

      # @return [Boolean] whether a failed run raises
      def raises?
        @on_failure == :raise
      end

      private

      def mistakes(options)
        found = Definition::Options.problems(KNOWN, options) { "#{@job_class}: pipeline" }
        known = [NilClass, ::String, ::Symbol, ::Proc].any? { |type| type === @source } || Pipeline.part?(@source)
        return found if known

        ["#{@job_class}: pipeline takes a pipeline class, the name of a constant, a pipeline or a block, not #{TypeHints.describe(@source)}", *found]
      end
    end
  end
end
