# frozen_string_literal: true

module Flowline
  class Definition
    # The closed tables of options. Any other option is an error that suggests the nearest one.
    module Options
      # A rate: a number of starts in a unit of time.
      # @api private
      RATE = %r{\A\s*([1-9]\d*)\s*/\s*([smhd])\s*\z}
      # The values of an option: a description for messages, and a check.
      # @api private
      Option = Struct.new(:expected, :check) do
        # @return [Boolean]
        def accepts?(value)
          check.call(value)
        end
      end

      one_of = ->(*values) { Option.new(values.map(&:inspect).join(", ").sub(/, (?!.*, )/, " or "), values.method(:include?)) }
      flag = one_of.call(true, false)
      anything = Option.new("anything", ->(_) { true })
      callable = Option.new("a lambda or another object with `call`", ->(value) { value.respond_to?(:call) })
      text = Option.new("a String", ->(value) { value.nil? || value.is_a?(String) || value.is_a?(Symbol) })
      name = ->(value) { value.is_a?(Symbol) || value.is_a?(String) }
      names = Option.new("a name or an Array of names", ->(value) { value.is_a?(Symbol) || value.is_a?(String) || Array(value).all?(&name) })
      HASH = Option.new("a Hash", ->(value) { value.is_a?(Hash) })
      private_constant :HASH
      executor = Option.new("the name of an executor (:sequential, :parallel, :process or one that was registered), or an object with `execute`",
                            ->(value) { Executor.known?(value) })
      on_error = one_of.call(:stop, :continue)
      count = Option.new("a whole number from 0 up", ->(value) { value.is_a?(Integer) && !value.negative? })
      positive = Option.new("a whole number from 1 up", ->(value) { value.nil? || (value.is_a?(Integer) && value.positive?) })
      number = ->(value) { value.is_a?(Numeric) && value.real? && value >= 0 }
      seconds = Option.new("a number of seconds", ->(value) { value.nil? || number.call(value) })
      limit = Option.new("a number of seconds above 0", ->(value) { value.nil? || (number.call(value) && value.positive?) })
      delay = Option.new("a number of seconds, or a lambda that gets attempt and error", ->(value) { number.call(value) || callable.accepts?(value) })
      share = Option.new("a number from 0 to 1", ->(value) { number.call(value) && value <= 1 })
      cache = Option.new("true, false or a cache", ->(value) { [true, false, nil].include?(value) || !Cache.of(value).nil? })
      cached = Option.new("true, false, or a Hash of ttl:, key: and store:", lambda do |value|
        next [true, false].include?(value) unless value.is_a?(Hash)

        (value.keys - %i[ttl key store]).empty? && limit.accepts?(value[:ttl]) && (value[:key].nil? || callable.accepts?(value[:key])) &&
          (value[:store].nil? || !Cache.of(value[:store]).nil?)
      end)
      resume = Option.new("true, false or the id of a run", ->(value) { [true, false, nil].include?(value) || value.is_a?(String) })
      step = Option.new("the name of a step", name)
      uses = Option.new("the name of a pool, an Array of names, or a Hash of names and whole numbers from 1 up", lambda do |value|
        next names.accepts?(value) unless value.is_a?(Hash)

        names.accepts?(value.keys) && value.each_value.all? { |amount| amount.is_a?(Integer) && amount.positive? }
      end)
      rate = Option.new('a number of starts in a second, minute, hour or day, as in "10/s", "100/m", "5/h", "1/d"',
                        ->(value) { value.nil? || RATE.match?(value.to_s) })
      keeping = { cache: cache, checkpoint: flag, keep_checkpoint: flag, durability: one_of.call(:process, :power), timeout: limit,
                  max_threads: positive, max_processes: positive, exclusive: one_of.call(true, false, :params) }

      # The options of +Flowline.define+.
      DEFINE = {
        name: text, description: text, on_error: on_error, executor: executor, check_types: flag, keep_runs: positive, **keeping
      }.freeze

      # The options of +step+.
      STEP = {
        depends_on: names, when: callable, unless: callable, run_if: one_of.call(:success, :any, :always), optional: flag,
        description: text, input: anything, output: anything, tags: names, cache: cached, skip_cache: flag, checkpoint: flag,
        version: anything, timeout: limit, isolate: one_of.call(:process), retries: count,
        retry_strategy: one_of.call(:immediate, :linear, :exponential), retry_delay: delay, retry_max_delay: seconds, retry_jitter: share,
        retry_if: callable, on_retry: callable, each: step, concurrency: positive, on_item_error: one_of.call(:fail, :continue, :collect),
        max_failures: positive, label: callable, uses: uses, rate: rate
      }.freeze

      # The options of +step+ for a nested pipeline.
      NESTED = { **STEP.slice(:depends_on, :when, :unless, :run_if, :optional, :timeout, :description), params: HASH, hooks: flag }.freeze

      # The options of +include+.
      INCLUDE = { depends_on: names, prefix: text }.freeze

      # The options of +run+. The pipeline's own params are given next to them.
      RUN = {
        executor: anything, reporter: anything, input: anything, context: HASH, params: HASH, on_error: on_error,
        check_types: flag, resume: resume, exclusive_wait: seconds, from: names, only: names, dry_run: flag, skip_cache: flag, **keeping
      }.freeze

      # @param table [Hash{Symbol => Option}]
      # @param given [Hash{Symbol => Object}]
      # @return [Boolean] whether there are no {problems}
      # @api private
      def self.accept?(table, given)
        given.each { |name, value| return false unless table[name]&.accepts?(value) } # Unlike all?, this allocates no pairs.
        true
      end

      # @param table [Hash{Symbol => Option}]
      # @param given [Hash{Symbol => Object}]
      # @yieldreturn [String] the owner of the options, as the subject of each sentence
      # @return [Array<String>] a sentence for each option that is unknown or has a wrong value
      # @api private
      def self.problems(table, given)
        sentences = []
        given.each do |name, value|
          option = table[name]
          next if option&.accepts?(value)

          sentences << "#{yield}: #{option ? "#{name}: #{refusal(option, value)}" : "unknown option #{unknown(table, name)}"}"
        end
        sentences
      end

      def self.unknown(table, name)
        "#{Name.show(name)}:#{Name.suggest(name, table.keys, known: "known are")}"
      end

      # Returns the message for a wrong value. A wrong value for a Hash is not shown, because it may contain secrets.
      def self.refusal(option, value)
        "must be #{option.expected}, not #{option.equal?(HASH) ? "a #{value.class}" : value.inspect}"
      end
      private_class_method :unknown, :refusal
    end
  end
end
