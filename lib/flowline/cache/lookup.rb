# frozen_string_literal: true

module Flowline
  module Cache
    # The use of caches by a run: which steps are cached, in which cache, and by which keys.
    # @api private
    class Lookup
      NONE = {}.freeze
      private_constant :NONE
      # Why a cache has nothing, most often.
      NO_ENTRY = "there is no entry"

      # The parts of a key, for history: its digest; and for each part a kind, a name and a digest. +missed+ says why the cache
      # had nothing.
      Grounds = Struct.new(:key, :parts, :missed)

      # @param pipeline [Pipeline]
      # @param request [Planning::RunOptions]
      # @param limits [Limits]
      # @param warnings [Array<String>] where problems go: a cache fails no step
      def initialize(pipeline, request, limits, warnings)
        @pipeline = pipeline
        @request = request
        @limits = limits
        @warnings = warnings
        @cache = request.cache unless pipeline.cached.empty?
        @cached = @cache ? pipeline.cached : NONE
        @caches = {} # By step, the caches that differ from the cache of the run.
        @unfit = {}
        @grounds = {}
      end

      # @return [Hash{Integer => Grounds}] by step, unless it is called for each item, what its last key was made of
      attr_reader :grounds

      # @return [Boolean] whether the run caches anything
      def any?
        !@cached.empty?
      end

      # @return [Boolean] whether the step's output may come from a cache
      def caches?(id)
        @cached.key?(id)
      end

      # Returns why the step can never be cached: an edit of code that cannot be seen would go unnoticed.
      # @return [String, nil]
      def unfit(id)
        @unfit.fetch(id) { @unfit[id] = unseen(id) }
      end

      # @return [Boolean] whether the cache is asked for the step's output as a whole, not for items
      def reads_output?(id)
        reads?(id) && @pipeline.steps[id].each.nil? && unfit(id).nil?
      end

      # @return [Boolean] whether the user gives the step's key with +key:+
      def keyed?(id)
        @pipeline.calls.keys.key?(id)
      end

      # @return [Array<Integer>] the steps whose outputs are part of its key
      def inputs(id)
        (@pipeline.calls.keys.dig(id, @request.input?) || @pipeline.calls.for(input: @request.input?)[id]).inputs
      end

      # Looks for the step's output before the run. A dry run does not change the cache.
      # @param outputs [Hash{Integer => Object}]
      # @return [Array(Boolean, Object)] whether there is an output, and the output
      def find(id, outputs, context)
        key = reads?(id) && key(id, outputs, context)
        return [false, nil] unless key

        @request.dry? ? in_time { cache(id).peek(key) } : read(id, key)
      rescue StandardError # An error of key: fails the step later, when it is ready.
        [false, nil]
      end

      # @return [Boolean] whether {#find_multi} can look for the step's output
      def multi?(id)
        reads_output?(id) && !keyed?(id) && cache(id).respond_to?(:read_multi)
      end

      # Looks for the outputs of several steps at once. Of those that are not found it says nothing, whatever the reason: they are
      # looked for again, one by one, when they are ready.
      # @param ids [Array<Integer>]
      # @param outputs [Hash{Integer => Object}] of the steps that they depend on
      # @return [Hash{Integer => Object}] the outputs that were found
      def find_multi(ids, outputs, context)
        found = {}
        ids.group_by { |id| cache(id) }.each do |cache, steps|
          keys = steps.map { |id| early_key(id, outputs, context) }
          values = in_time { cache.lookup_multi(keys.compact) }
          steps.each_with_index { |id, at| found[id] = values[keys[at]] if values.key?(keys[at]) }
        rescue CacheError
          next
        end
        found
      end

      # Calls the block with the cached output, if any, while no other thread or process computes the same key.
      # @yieldparam found [Boolean]
      # @yieldparam output [Object, nil]
      # @yieldparam keep [#call, nil] stores the output that it is called with
      # @param item [Object] the item, if the step is called for each
      # @param waiting [#call, nil] called if another thread or process computes the same key
      # @return [Object] what the block returns
      def with(id, outputs, context, item = nil, waiting: nil)
        key = key(id, outputs, context, item) if caches?(id)
        return yield(false, nil, nil) unless key

        found, output = @limits.within_run { read(id, key) }
        return yield(true, output, nil) if found

        @limits.within_run do
          cache(id).once(key, waiting) do
            found, output = read(id, key) # Another thread may have computed it meanwhile.
            yield(found, output, ->(value) { write(id, key, value, context) })
          end
        end
      end

      # @param keep [#call, nil] what {#with} gave to store the output
      # @return [String] why the cache had nothing
      def absence(id, keep)
        why = "it has no key; see the warnings" if keep.nil?
        why ||= reads?(id) ? NO_ENTRY : "skip_cache: says not to look"
        (@grounds[id] ||= Grounds.new).missed = why unless @pipeline.steps[id].each
        why
      end

      # Ends the use of the caches.
      # @return [void]
      def close
        [@cache, *@caches.values].each(&:record_uses) if any?
      end

      private

      def options(id)
        given = @pipeline.steps[id].options[:cache]
        given.is_a?(Hash) ? given : NONE
      end

      def cache(id)
        store = options(id)[:store]
        store ? @caches[id] ||= Cache.of(store) || @cache : @cache
      end

      def unseen(id)
        unseen = caches?(id) && @pipeline.fingerprint(id).unseen
        "not cached: its code cannot be seen (#{unseen}); give version:" if unseen
      end

      def reads?(id)
        caches?(id) && !@request.skip_cache? && !@pipeline.steps[id].options[:skip_cache]
      end

      # Builds the key from the pipeline, the step, whether it is called for each item, its code and version, and its inputs
      # or the return value of +key:+.
      def key(id, outputs, context, item = nil)
        step = @pipeline.steps[id]
        unfit = unfit(id)
        return warn_once("step #{Name.show(step.name)} is #{unfit}") if unfit

        fingerprint = @pipeline.fingerprint(id)
        custom = @pipeline.calls.keys.dig(id, @request.input?)
        if custom
          value = Native.digest(@limits.ask { custom.call(outputs, context, item) })
          return compose(id, [[:key, :key, value]], :key, fingerprint.code, value)
        end

        code = fingerprint.value
        problem = fingerprint.known_problem
        return uncached(step, problem) if problem

        inputs = inputs_of(id, outputs, context, item)
        parts = named(inputs)
        fingerprint.each_captured { |name, digest| parts << [:captured, name, digest] }
        compose(id, parts, :inputs, code, inputs.empty? ? inputs : inputs.map { |target, _, digest| [target, digest] })
      rescue Flowline::Identity::Digest::Impossible => e
        uncached(step, "#{custom ? "has a key with" : "gets"} something that cannot be digested (#{e.message})")
      end

      # @param parts [Array<Array(Symbol, Symbol, String)>] for history
      # @param kind [Symbol] what the last part of the key is: +:inputs+, or the return value of +key:+
      # @param code [String] the digest of the step's code
      # @return [String]
      def compose(id, parts, kind, code, last)
        step = @pipeline.steps[id]
        digest = Native.digest([@pipeline.cache_name, step.name, !step.each.nil?, kind, code, last])
        @grounds[id] = Grounds.new(digest, parts) unless step.each
        "#{@pipeline.cache_name}/#{step.name}/#{digest}".freeze # So that a Hash needs no copy.
      end

      # Returns the key of a step before the step is ready. An error of it is raised again when it is, and fails the step.
      def early_key(id, outputs, context)
        key(id, outputs, context)
      rescue Error::TimeUp
        raise
      rescue StandardError => e
        Caller.raise_foreign(e) { key(id, outputs, context) }
        nil
      end

      # @return [Array<Array(Object, Object, String)>] for each argument the position or keyword, the source, and the digest
      def inputs_of(id, outputs, context, item)
        input = @request.input?
        facts = @pipeline.calls.for(input: input)[id].facts(outputs, context, item, input: input)
        facts.each { |fact| fact[2] = Native.digest(fact[2]) }
      end

      # @param parts [Array<Array>] as {#inputs_of} returns them
      # @return [Array<Array(Symbol, Symbol, String)>] a kind, a name and the digest
      def named(parts)
        parts.map do |_, source, digest|
          case source
          when Integer then [:output, @pipeline.steps[source].name, digest]
          when Hash then [:outputs, source.keys.join(", ").to_sym, digest]
          when Arguments::Binding::Parameter then [:param, source.name, digest]
          else [:context, :context, digest]
          end
        end
      end

      def uncached(step, why)
        warn_once("step #{Name.show(step.name)} is not cached: it #{why}; give cache: { key: }")
      end

      def read(id, key)
        return [false, nil] unless reads?(id)

        in_time { cache(id).lookup(key) { |problem| warn_once(problem) } }
      rescue CacheError => e
        warn_once(e.message)
        [false, nil]
      end

      # Calls the block with the time that is left, because another process may lock the cache for longer.
      def in_time(&block)
        Store.within(@limits.left, &block)
      end

      # Adds a warning once, although attempts and the second lookup of an entry would repeat it.
      def warn_once(warning)
        @warnings << warning unless @warnings.include?(warning)
        nil
      end

      def write(id, key, value, context)
        secret = false
        in_time { cache(id).store(key, value, options(id)[:ttl]) { |bytes| !(secret = context.secret_in?(bytes)) } }
        unwritten(id, "it holds a secret") if secret
      rescue CacheError => e
        unwritten(id, e.message)
      end

      def unwritten(id, why)
        @warnings << "the output of step #{Name.show(@pipeline.steps[id].name)} is not cached: #{why}"
      end
    end
  end
end
