# frozen_string_literal: true

module Flowline
  # A read-only view of a run: its params and the values of +context:+, as in a Hash.
  class Context
    # Held while the first caller of {#run_id} or {#state} creates it.
    FIRST = Mutex.new
    # The source of lines that are not those of a step: hooks and conditions have the context of the run.
    RUN = [-1, nil, nil].freeze
    private_constant :FIRST, :RUN

    # @return [String, nil]
    attr_reader :pipeline_name
    # @return [Hash{Symbol => Object}] the params, coerced
    attr_reader :params
    # @return [Object, nil] the run's +input:+
    attr_reader :input

    # @param pipeline [Pipeline]
    # @param request [Planning::RunOptions]
    # @return [Context]
    # @api private
    def self.of(pipeline, request)
      context = new(pipeline.name, request.params, request.values, request.input, request.secrets)
      request.scopes.each { |scope, params| context.add_scope(scope, params) } unless request.scopes.empty?
      context
    end

    # @api private
    def initialize(pipeline_name, params, values, input, secrets)
      @pipeline_name = pipeline_name
      @params = params.freeze
      @values = values.empty? ? params : params.merge(values).freeze
      @input = input
      @secrets = secrets
      @hidden = Identity::Secrets.new(secrets.values) unless secrets.empty?
      @started = Clock.time
      @made = [] # The id of the run, its ledger, its recording, its log, the seconds that were skipped, and the scopes.
      @clock = Clock.now
      freeze
    end

    # @return [Time] when the run started
    def started_at
      Time.at(0, @started, :nsec)
    end

    # Sets the params that the steps of a nested pipeline get, before the run begins.
    # @param scope [Symbol] the nested pipeline
    # @param params [Hash{Symbol => Object}]
    # @return [void]
    # @api private
    def add_scope(scope, params)
      values = @values.reject { |name, _| @params.key?(name) }
      (@made[5] ||= {})[scope] = dup.tap do |inner|
        inner.instance_exec do
          @params = params.freeze
          @values = params.merge(values).freeze
          freeze
        end
      end
    end

    # @param scope [Symbol] a nested pipeline
    # @return [Context] with its params
    # @api private
    def within(scope)
      inner = @made[5].fetch(scope)
      @sink ? inner.lend(*@sink) : inner
    end

    # Reports numbers about the step that is being called, such as how many rows it wrote: they are shown on the step's line and
    # are in {StepResult#report}. A later call replaces a number of the same name. Numbers of the items of a step are added up.
    # @param numbers [Hash{Symbol => Numeric}]
    # @return [nil]
    # @raise [ArgumentError] a value is not a number
    # @raise [Error] the context is not that of a step: hooks, conditions and keys have nothing to report
    # @example
    #   step(:load, depends_on: :rows) { |rows, ctx| ctx.report(rows: Db.insert(rows), skipped: 3) }
    def report(**numbers)
      raise Error, "ctx.report belongs to the ctx that the block of a step takes; hooks and conditions have nothing to report" unless @sink

      name, wrong = numbers.find { |_, value| !(Numeric === value) }
      raise ArgumentError, "report #{Name.show(name)}: must be a number, not #{TypeHints.describe(wrong)}" if name

      sink, id = @sink
      sink.reported(id, secrets? ? numbers.transform_keys { |key| mask(key.name).to_sym } : numbers)
      nil
    end

    # Returns the log of the run. Lines that a step writes to it have the step, its attempt and its item.
    # @return [Log]
    # @example
    #   step(:fetch) { |ctx| ctx.log.info("page 1") }
    def log
      sink, id = @sink
      Log.new(lines, sink ? sink.source(id) : RUN)
    end

    # Returns the state of the pipeline, which stays between its runs. Steps read and write it; hooks and conditions read it.
    # @return [State]
    # @raise [Error] the run is that of another process
    # @example
    #   step(:fetch) { |ctx| Orders.since(ctx.state[:last_id] || 0).tap { |rows| ctx.state[:last_id] = rows.map(&:id).max } }
    def state
      raise Error, "the state of a pipeline can be used only in the process that runs it" unless @made[2]

      State.new(open_ledger, *@sink)
    end

    # @return [Recording::Ledger, nil] nil: the state was not used
    # @api private
    def ledger
      @made[1]
    end

    # @return [Recording::Ledger]
    # @api private
    def open_ledger
      @made[1] || FIRST.synchronize { @made[1] ||= Recording::Ledger.new(@made[2], self) }
    end

    # Sets what knows the state of the pipeline.
    # @param recording [#state]
    # @return [void]
    # @api private
    def record_in(recording)
      @made[2] = recording
    end

    # @return [#add, nil] what keeps the lines of the log
    # @api private
    def lines
      @made[3]
    end

    # Sets what keeps the lines of the log.
    # @param lines [#add]
    # @return [void]
    # @api private
    def log_in(lines)
      @made[3] = lines
    end

    # @param sink [#reported, #wrote] gets what is reported and written
    # @param id [Integer] the step
    # @return [Context] the same for one call of a step
    # @api private
    def lend(sink, id)
      dup.tap do |lent|
        lent.instance_exec do
          @sink = [sink, id].freeze
          freeze
        end
      end
    end

    # @return [String] unique among all runs
    def run_id
      @made.first || FIRST.synchronize do
        @made[0] ||= "#{started_at.getutc.strftime("%Y%m%dT%H%M%S")}-#{Random.urandom(4).unpack1("H*")}".freeze
      end
    end

    # @return [Object, nil] a param or a value of +context:+; +nil+ if there is none
    def [](key)
      @values.fetch(key) { key.is_a?(String) ? @values[key.to_sym] : nil }
    end

    # @return [Object] a param or a value of +context:+
    # @yieldreturn [Object] the result if there is none
    # @raise [KeyError] if there is none, and neither a default nor a block
    def fetch(key, *default, &block)
      key = key.to_sym if key.is_a?(String)
      return @values.fetch(key, *default, &block) if @values.key?(key) || block || !default.empty?

      suggestion = Name.suggest(key, @values.keys, known: "there are")
      raise KeyError.new("the context has no #{Name.show(key)}#{suggestion}", receiver: self, key: key)
    end

    # @return [Boolean] whether there is a param or value of that name
    def key?(key)
      @values.key?(key.is_a?(String) ? key.to_sym : key)
    end

    # @return [Hash{Symbol => Object}] all params and values
    def to_h
      @values.dup
    end

    # @return [Float] seconds since the run started
    def elapsed
      Clock.now - @clock + (@made[4] || 0.0)
    end

    # Skips time: for the run, it is later from now on.
    # @param seconds [Float]
    # @return [void]
    # @api private
    def advance(seconds)
      @made[4] = (@made[4] || 0.0) + seconds
    end

    # @return [Logger] the +context: { logger: }+ value, that of {Configuration#logger}, Rails' logger, or one that writes to standard
    #   error
    def logger
      configured = self[:logger] || Flowline.config.logger
      return configured if configured
      return ::Rails.logger if defined?(::Rails) && ::Rails.respond_to?(:logger) && ::Rails.logger

      require "logger"
      ::Logger.new($stderr, progname: pipeline_name)
    rescue LoadError
      raise Error, "ctx.logger needs the logger gem; add it to the Gemfile, or pass context: { logger: yours }"
    end

    # @return [Array] every value that the user gave to the run, and the names of those that are params
    # @api private
    def supplied
      [@params.keys, @values, @input]
    end

    # @return [Boolean] whether +Marshal+ data may hold the value of a secret param
    # @api private
    def secret_in?(bytes)
      @hidden ? @hidden.in?(bytes) : false
    end

    # @return [Boolean] whether there are values that must not appear anywhere
    # @api private
    def secrets?
      !@hidden.nil?
    end

    # @return [Hash{Symbol => Object}] the params that are not secret, for reporters
    # @api private
    def public_params
      params.except(*@secrets.keys)
    end

    # @return [String] the text with the values of secret params redacted
    # @api private
    def mask(text)
      @hidden ? @hidden.mask(text) : text
    end

    # Dumps the context for other processes: the params that are not secret, and the identity of the run.
    # @return [Array] what {#marshal_load} takes
    # @api private
    def marshal_dump
      [@pipeline_name, public_params.select { |_, value| Error::Portable.dumps?(value) }, @started, run_id]
    end

    # @param facts [Array]
    # @return [void]
    # @api private
    def marshal_load(facts)
      @pipeline_name, @params, @started, run_id = facts
      @values = @params
      @secrets = {}
      @hidden = nil
      @made = [run_id]
      @clock = Clock.now - (Time.now - started_at)
      freeze
    end

    # @return [String] without values
    def inspect
      "#<#{self.class} run_id=#{run_id} keys=#{@values.keys.inspect}>"
    end
  end
end
