# frozen_string_literal: true

module Flowline
  class Definition
    # The closed tables of options. Any other option is an error that suggests the nearest one.
    module Options
      # A rate: a number of starts in a unit of time.
      # @api private
      RATE = %r{\A\s*([1-9]\d*)\s*/\s*([smhd])\s*\z}
      # The values of an option: a description for messages, a check, and the table of the options in it, if it may be a Hash of them.
      # @api private
      Option = Struct.new(:expected, :check, :parts) do
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
      number = ->(value) { value.is_a?(Numeric) && value.real? && value >= 0 } # NaN is not.
      finite = ->(value) { number.call(value) && value.finite? }
      seconds = Option.new("a number of seconds", ->(value) { value.nil? || number.call(value) })
      limit = Option.new("a number of seconds above 0, or nil for no limit", ->(value) { value.nil? || (finite.call(value) && value.positive?) })
      delay = Option.new("a number of seconds, or a lambda that gets attempt and error", ->(value) { finite.call(value) || callable.accepts?(value) })
      share = Option.new("a number from 0 to 1", ->(value) { number.call(value) && value <= 1 })
      cache = Option.new("true, false or a cache", ->(value) { [true, false, nil].include?(value) || !Cache.of(value).nil? })
      caching = {
        ttl: Option.new("a number of seconds above 0, or nil for no limit", ->(value) { value.nil? || (number.call(value) && value.positive?) }),
        key: Option.new(callable.expected, ->(value) { value.nil? || callable.accepts?(value) }),
        store: Option.new("a cache, with `get`, `set` and `exists?`", ->(value) { value.nil? || !Cache.of(value).nil? })
      }.freeze
      cached = Option.new("true, false, or a Hash of ttl:, key: and store:",
                          ->(value) { value.is_a?(Hash) ? accept?(caching, value) : [true, false].include?(value) }, caching)
      resume = Option.new("true, false or the id of a run", ->(value) { [true, false, nil].include?(value) || value.is_a?(String) })
      step = Option.new("the name of a step", name)
      uses = Option.new("the name of a pool, an Array of names, or a Hash of names and whole numbers from 1 up", lambda do |value|
        next names.accepts?(value) unless value.is_a?(Hash)

        names.accepts?(value.keys) && value.each_value.all? { |amount| amount.is_a?(Integer) && amount.positive? }
      end)
      rate = Option.new('a number of starts in a second, minute, hour or day, as in "10/s", "100/m", "5/h", "1/d"',
                        ->(value) { value.nil? || RATE.match?(value.to_s) })
      keeping = { cache: cache, checkpoint: flag, keep_checkpoint: flag, durability: one_of.call(:process, :power), timeout: limit,
                  max_threads: positive, max_processes: positive, capture: flag, exclusive: one_of.call(true, false, :params) }

      # The options of +Flowline.define+.
      DEFINE = {
        name: text, description: text, on_error: on_error, executor: executor, check_types: flag, freeze_outputs: flag, keep_runs: positive, **keeping
      }.freeze

      # The options of +step+.
      STEP = {
        depends_on: names, when: callable, unless: callable, run_if: one_of.call(:success, :any, :always), optional: flag,
        description: text, input: anything, output: anything, tags: names, cache: cached, skip_cache: flag, checkpoint: flag,
        version: anything, timeout: limit, isolate: one_of.call(:process, false), retries: count,
        retry_strategy: one_of.call(:immediate, :linear, :exponential), retry_delay: delay, retry_max_delay: seconds, retry_jitter: share,
        retry_if: callable, on_retry: callable, each: step, concurrency: positive, on_item_error: one_of.call(:fail, :continue, :collect),
        max_failures: positive, label: callable, uses: uses, rate: rate, capture: flag
      }.freeze

      # The options of +step+ for a nested pipeline.
      NESTED = { **STEP.slice(:depends_on, :when, :unless, :run_if, :optional, :timeout, :description), params: HASH, hooks: flag }.freeze

      # The options of +include+.
      INCLUDE = { depends_on: names, prefix: text }.freeze

      # The options of +run+. The pipeline's own params are given next to them.
      RUN = {
        executor: anything, reporter: anything, input: anything, context: HASH, params: HASH, on_error: on_error,
        given: HASH, check_types: flag, freeze_outputs: flag, resume: resume, exclusive_wait: seconds, from: names, only: names, dry_run: flag,
        skip_cache: flag, **keeping
      }.freeze

      # Options of other libraries, and slips, by what they are called here.
      SYNONYMS = {
        retry: :retries, retry_count: :retries, max_retries: :retries, attempts: :retries, max_attempts: :retries, tries: :retries,
        delay: :retry_delay, backoff: :retry_strategy, jitter: :retry_jitter, max_delay: :retry_max_delay,
        depends: :depends_on, dependencies: :depends_on, needs: :depends_on, requires: :depends_on, after: :depends_on, input_from: :depends_on,
        if: :when, only_if: :when, skip_if: :unless, on_failure: :on_error, desc: :description, title: :description, id: :name,
        threads: :max_threads, workers: :max_threads, processes: :max_processes, map: :each, for_each: :each, parallelism: :concurrency,
        pool: :uses, use: :uses, rate_limit: :rate, throttle: :rate, start_at: :from, start_from: :from, restart: :resume, params_from: :params
      }.freeze
      private_constant :SYNONYMS

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

          next sentences.concat(problems(option.parts, value) { "#{yield}: #{name}" }) if option&.parts && value.is_a?(Hash)

          sentences << "#{yield}: #{option ? "#{name}: #{refusal(option, value)}" : "unknown option #{unknown(table, name)}"}"
        end
        sentences
      end

      # Returns what somebody who gives this option to the owner of this table may have meant: a synonym, or an option of another
      # table.
      # @param table [Hash{Symbol => Option}]
      # @param name [Symbol]
      # @return [String, nil] the end of a sentence
      # @api private
      def self.hint(table, name)
        meant = SYNONYMS[name]
        return "; did you mean #{meant}?" if table.key?(meant)
        return if Native.nearest(name.to_s, table.keys.map(&:to_s)) || table.equal?(INCLUDE)

        elsewhere(table, meant || name)
      end

      def self.elsewhere(table, name)
        if STEP.key?(name)
          way_out = "write `defaults #{name}: …` in the block" if table.equal?(DEFINE)
          way_out = "give it to the steps of the nested pipeline" if table.equal?(NESTED)
          return "; it is an option of steps: #{way_out || "give it to `step`"}"
        end

        owners = [*("Flowline.define" if DEFINE.key?(name)), *("run" if RUN.key?(name))]
        "; it is an option of #{owners.join(" and ")}" unless owners.empty?
      end

      def self.unknown(table, name)
        shown = name.is_a?(String) ? "#{name.inspect}, a String" : "#{Name.show(name)}:"
        "#{shown}#{hint(table, name) || Name.suggest(name, table.keys, known: "known are")}"
      end

      # Returns the message for a wrong value. A wrong value for a Hash is not shown, because it may contain secrets.
      def self.refusal(option, value)
        "must be #{option.expected}, not #{option.equal?(HASH) ? TypeHints.one(TypeHints.kind(value)) : TypeHints.excerpt(value)}"
      end
      private_class_method :elsewhere, :unknown, :refusal
    end
  end
end
