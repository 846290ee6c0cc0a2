# frozen_string_literal: true

require "rbconfig"

module Flowline
  class Error
    # The run's time is up: in user code around the calls of steps, such as conditions, caches and hooks.
    # @api private
    class TimeUp < StandardError
      include Error::Plain

      # @return [Hash] +limit:+ in seconds and +scope:+, +:step+, +:run+ or +:reporter+
      attr_reader :limit

      # @param limit [Hash]
      def initialize(limit)
        @limit = limit
        super(limit[:scope] == :reporter ? "it had an event for #{limit[:limit]} s" : "the run's time limit of #{limit[:limit]} s is up")
      end
    end
  end

  # Raised for run options and params that are missing, unknown or of the wrong type. One error lists all of them, before
  # anything runs.
  class ParamError < Error
    # @return [Array<String>] the problems, a sentence each
    attr_reader :problems

    # @param problems [Array<String>]
    def initialize(problems)
      @problems = problems
      super(problems.one? ? problems.first : DefinitionError.enumerate(problems))
    end
  end

  # Raised when a result or a plan is asked for a step that it does not have.
  class UnknownStepError < Error
    # @return [Symbol] the name
    attr_reader :step_name

    # @param step_name [Symbol]
    # @param known [Array<Symbol>] the steps that there are
    def initialize(step_name, known)
      @step_name = step_name
      super("there is no step #{Name.show(step_name)}#{Name.suggest(step_name, known, known: "there are")}")
    end
  end

  # A step that failed. Its +cause+ is the exception that the step raised.
  class StepError < Error
    # @return [Symbol] the step
    attr_reader :step_name
    # @return [Exception] what it raised
    attr_reader :original
    # @return [Integer] how often it was called
    attr_reader :attempts
    # @return [Hash{Symbol => String}] the kind of value that each dependency gave it, never the value itself
    attr_reader :inputs

    # @param step_name [Symbol]
    # @param original [Exception, nil]
    # @param attempts [Integer]
    # @param inputs [Hash{Symbol => String}]
    # @param detail [String, nil] the original's message, if not as it is
    # @param hint [String, nil] what to do
    def initialize(step_name, original = nil, attempts: 1, inputs: {}, detail: nil, hint: nil)
      @step_name = step_name
      @original = original
      @hint = hint
      @attempts = attempts
      @inputs = inputs
      super(compose(detail || (original && Error.words(original))))
      frames = original && Backtrace.of(original)
      set_backtrace(Backtrace.clean(frames)) if frames
    end

    # @return [Exception] the exception that the step raised
    def cause
      original || super
    end

    # @return [String, nil] +file:line+ of the user's own code that raised
    def location
      Backtrace.location(Backtrace.of(original)) if original
    end

    private

    # Names the part of the step that failed.
    def where; end

    def compose(detail)
      text = +"step #{Name.show(step_name)} failed#{where}"
      text << " after #{attempts} attempts" if attempts > 1
      first, *others = detail.to_s.lines(chomp: true)
      text << ": #{Error.account(original, first.to_s)}" if original
      text << " (#{location})" if location && !text.include?(location) # A message of Ruby's may name it.
      text << others.map { |line| "\n#{line}" }.join
      text << "; to leave a step's block early, use `next`" if LocalJumpError === original || UncaughtThrowError === original
      text << "; #{@hint}" if @hint
      text
    end
  end

  # A failed item of a step with +each:+.
  class ItemError < StepError
    # @return [Integer] the index of the item, from 0
    attr_reader :position
    # @return [Object] the item
    attr_reader :item
    # @return [String] what the step's +label:+ calls the item, or a short and redacted +inspect+ of it
    attr_reader :label

    # @param step_name [Symbol]
    # @param original [Exception]
    # @param position [Integer]
    # @param item [Object]
    # @param label [String, nil]
    # @param facts [Hash] as for {StepError}
    def initialize(step_name, original, position:, item:, label: nil, **facts)
      @position = position
      @item = item
      @label = label || TypeHints.describe(item)
      super(step_name, original, **facts)
    end

    # @return [Integer] the number of the item, from 1, as messages show it
    def number
      position + 1
    end

    # @return [String] the first line of the message without the step
    # @api private
    def summary
      message[/[^\n]*/].delete_prefix("step #{Name.show(step_name)} failed at ")
    end

    private

    def where
      " at item #{number} (#{label})"
    end
  end

  # A step with +on_item_error: :continue+ some of whose items failed. Its +original+ is that of the first of them.
  class ItemsError < StepError
    # The most items that the message names; {#item_errors} has all.
    SHOWN = 5

    # @return [Array<ItemError>] the failed items, in their order
    attr_reader :item_errors
    # @return [ItemCounts] how all items ended
    attr_reader :counts

    # @param step_name [Symbol]
    # @param item_errors [Array<ItemError>]
    # @param counts [ItemCounts]
    def initialize(step_name, item_errors, counts:)
      @item_errors = item_errors
      @counts = counts
      super(step_name, item_errors.first.original, attempts: item_errors.map(&:attempts).max)
    end

    private

    def compose(_detail)
      of = " of #{counts.total}" if counts.total
      lines = item_errors.first(SHOWN).map { |error| "  #{error.summary}" }
      lines << "  … and #{item_errors.size - SHOWN} more" if item_errors.size > SHOWN
      head = "step #{Name.show(step_name)} failed at #{item_errors.size}#{of} #{(counts.total || item_errors.size) == 1 ? "item" : "items"}:"
      [head, *lines, *counts.safety].join("\n")
    end
  end

  # A step or a run that exceeded its time limit.
  class TimeoutError < StepError
    # @return [Numeric] the limit in seconds
    attr_reader :limit
    # @return [Symbol] +:step+, +:group+ (a nested pipeline) or +:run+: the owner of the limit
    attr_reader :scope
    # @return [Symbol, nil] the nested pipeline that the limit is of
    attr_reader :group

    # @param step_name [Symbol, nil] +nil+ if the run's time was up between steps
    # @param limit [Numeric] seconds
    # @param scope [Symbol] +:step+, +:group+ or +:run+
    # @param group [Symbol, nil] the nested pipeline
    # @param item [String, nil] the item that it was called for
    # @param facts [Hash] as for {StepError}
    def initialize(step_name, limit:, scope: :step, group: nil, item: nil, **facts)
      @limit = limit
      @scope = scope
      @group = group
      @item = item
      super(step_name, **facts)
    end

    private

    def compose(_detail)
      at = " at #{@item}" if @item
      what = step_name ? "step #{Name.show(step_name)} was stopped#{at} by the #{scope}'s" : "the run was stopped by its"
      return "#{what} time limit of #{limit} s; make it faster, or raise timeout:" unless group

      "step #{Name.show(step_name)} was stopped#{at} by the time limit of #{limit} s of #{Name.show(group)}, which it is part of; " \
        "make it faster, or raise timeout: of #{Name.show(group)}"
    end
  end

  # A run that was stopped before its steps ended.
  class CancelledError < Error
    # @return [Symbol] +:interrupted+ or +:run_timed_out+
    attr_reader :reason

    # @return [Exception, nil] the exception that stopped it; +nil+ for a +throw+ or the death of a thread
    attr_reader :cause

    # @return [Array<Symbol>] the steps that were running
    attr_reader :running

    # The last part of the message: how to resume.
    ADVICE = "; resume with: run(resume: true)"

    # @param reason [Symbol]
    # @param cause [Exception, nil]
    # @param running [Array<Symbol>]
    def initialize(reason, cause = nil, running: [])
      @reason = reason
      @cause = cause
      @running = running
      super("the run was cancelled (#{StoreError === cause ? unrecorded : interrupted}) before every step had ended#{ADVICE}")
    end

    private

    def unrecorded
      "it could not be recorded: store #{Error.text(cause.path)}: #{cause.what}"
    end

    def interrupted
      "#{reason}#{": #{TypeHints.kind(cause)}" if cause}#{" while #{Name.list_up(running)} ran" if running.any?}"
    end
  end

  # A +before_run+ or +before_step+ hook that raised. Its +cause+ is the exception of the hook.
  class HookError < Error
    # @return [Symbol] the hook
    attr_reader :hook
    # @return [Exception] what it raised
    attr_reader :original

    # @param hook [Symbol]
    # @param original [Exception]
    # @param detail [String, nil] the original's message, if not as it is
    def initialize(hook, original, detail: nil)
      @hook = hook
      @original = original
      frames = Backtrace.of(original)
      line = Backtrace.location(frames)
      super("hook #{hook} failed: #{TypeHints.kind(original)}: #{detail || Error.words(original)}#{" (#{line})" if line}; " \
            "fix or remove the hook")
      set_backtrace(Backtrace.clean(frames)) if frames
    end

    # @return [Exception] the exception of the hook
    def cause
      original
    end
  end

  # A checkpoint that lacks a needed output, or a run that cannot be resumed.
  class CheckpointError < Error
    # @return [Array<Symbol>] the steps whose outputs are not in it
    attr_reader :step_names

    # @param step_names [Array<Symbol>]
    # @param pipeline_name [String, nil]
    # @param why [String, nil] what is wrong and what to do, if no output is missing
    def initialize(step_names, pipeline_name: nil, why: nil)
      @step_names = step_names
      super(why || "no recorded output of #{Name.list_up(step_names)}#{" of #{pipeline_name}" if pipeline_name}; " \
                   "run the whole pipeline, with keep_checkpoint: true to keep outputs after a success")
    end
  end

  # A run that was refused because another one is alive, in another process or thread.
  class LockedError < CheckpointError
    # @return [Integer, nil] the process of the run that is alive, or was when this one was called for; nil: that run is not
    #   recorded yet, or has just ended
    attr_reader :pid
    # @return [String, nil] the machine or container of that process
    attr_reader :host
    # @return [String, nil] the run that is alive
    attr_reader :run_id
    # @return [Time, nil] when that run started
    attr_reader :since
    # @return [Hash{Symbol => Object}] its params, without secrets
    attr_reader :params

    # @param run [Store::Run, nil] the run that is alive
    # @param pipeline_name [String, nil]
    # @param waited [Numeric, nil] the seconds after which the caller gave up
    # @param facts [Hash] +ended:+, how that run has ended meanwhile; +limited:+, whether the time limit of the caller ended the wait
    # @return [LockedError]
    # @api private
    def self.by(run, pipeline_name, waited: nil, **facts)
      return new(nil, pipeline_name, waited: waited, **facts) unless run

      facts = { **facts, host: run.host, run_id: run.run_id, since: run.started_at, params: run.known_params }
      new(run.pid, pipeline_name, process_name: run.process_name, waited: waited, **facts)
    end

    # @param pid [Integer, nil]
    # @param pipeline_name [String, nil]
    # @param process_name [String] the process, for people
    # @param waited [Numeric, nil] the seconds after which the caller gave up
    # @param facts [Hash] +host:+, +run_id:+, +since:+ and +params:+ of the run that is alive, or +ended:+, how it has
    #   just ended; +limited:+, whether the time limit of this run ended the wait
    def initialize(pid, pipeline_name, process_name: "process #{pid}", waited: nil, **facts)
      @pid = pid
      @host, @run_id, @since = facts.values_at(:host, :run_id, :since)
      @params = facts[:params] || {}
      name = pipeline_name || "the pipeline"
      why = facts[:ended] ? compose_late(name, process_name, facts[:ended]) : compose(name, process_name, way_out(waited, facts[:limited]))
      super([], pipeline_name: pipeline_name, why: why)
    end

    private

    def way_out(waited, limited)
      return "wait for it, as with exclusive_wait: 60" unless waited

      limited ? "gave up after #{waited} s, the timeout: of this run; give it more time" : "gave up after #{waited} s; wait longer"
    end

    def compose(name, process_name, way_out)
      return "another run of #{name} begins or ends just now; #{way_out}, or run again" unless pid

      since = " since #{@since.strftime("%Y-%m-%d %H:%M:%S")}" if @since
      "#{run_of(name)} is alive in #{process_name}#{since}; #{way_out}, or stop that process"
    end

    def compose_late(name, process_name, ended)
      "#{run_of(name)} was alive in #{process_name} when this run was called for, and has just ended (#{ended}); " \
        "exclusive_wait: 60 waits and runs after it, or run again"
    end

    def run_of(name)
      "#{run_id ? "run #{run_id}" : "a run"} of #{name}#{" (#{Param.show(params)})" if params.any?}"
    end
  end

  # A store that cannot be used.
  class StoreError < Error
    # @return [String] the directory
    attr_reader :path
    # @return [Symbol] the kind of problem: +:damaged+, +:gone+ (removed or replaced while in use), +:full+, +:denied+,
    #   +:unsafe+ (other users can write there), +:format+ (of another version or program), +:descriptors+ (too many open files),
    #   +:device+, +:memory+, +:no_locks+ (the file system has none), +:busy+ (locked by another process) or +:other+
    attr_reader :kind
    # @return [String] what is wrong and what to do
    # @api private
    attr_reader :what

    # @param path [String]
    # @param what [String] what is wrong and what to do
    # @param kind [Symbol]
    def initialize(path, what, kind = :other)
      @path = path
      @what = what
      @kind = kind
      super("store #{Error.text(path)}: #{what}; or run without it: FLOWLINE_STORE=off")
    end
  end

  # A cache that cannot be used.
  class CacheError < Error
    # @return [Object] the cache
    attr_reader :cache

    # @param cache [Object]
    # @param what [String] what is wrong and what to do
    def initialize(cache, what)
      @cache = cache
      super("cache #{cache.class}: #{what}")
    end
  end
end
