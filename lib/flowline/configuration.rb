# frozen_string_literal: true

module Flowline
  # Settings for the whole process; see {Flowline.configure}.
  class Configuration
    # Values of environment variables that switch a feature off.
    OFF = %w[off no false 0].freeze
    private_constant :OFF

    # @return [Boolean] whether runs of pipelines with a name are recorded: unless +FLOWLINE_STORE=off+
    attr_accessor :store
    # @return [Execution::Middleware] the entries that are called around each attempt of every run
    # @example
    #   config.middleware.use(Timing.new)
    attr_reader :middleware
    # @return [Boolean] whether backtraces of errors include the frames of Flowline; default: false
    attr_accessor :full_backtrace
    # @return [Integer] how many of the first, and of the last, lines that a step logs or prints stay; default: 500
    attr_reader :log_lines
    # @return [Object, false, nil] the default cache of steps; +nil+: a cache in memory, +false+: none
    attr_reader :cache
    # @return [Symbol, #execute] the executor of runs without +executor:+; default: +FLOWLINE_EXECUTOR+, or +:sequential+
    attr_writer :executor
    # @return [Integer, nil] how many steps run at a time under +:parallel+ without +max_threads:+; default: see {Pipeline#run}
    attr_accessor :max_threads
    # @return [Array<Pipeline, Class>, #call] the pipelines of the program that can be run by name, as by +flowline run NAME+; or a lambda
    #   that returns them each time, as a program needs that reloads its code. Default: none, and those of +app/pipelines+ under Rails
    # @example
    #   config.pipelines = -> { [Import, Export] }
    attr_writer :pipelines
    # @return [Symbol, #call, Array, nil] the reporters of runs without +reporter:+; +false+: none, also where a framework has one
    attr_writer :reporter
    # @return [Logger, nil] the logger of +ctx.logger+ and +reporter: :logger+; default: that of Rails, or one that writes to standard
    #   error
    attr_accessor :logger

    def initialize
      @defaults = { executor: :sequential, pipelines: [], root: ".flowline" }
      @store = !OFF.include?(ENV["FLOWLINE_STORE"]&.downcase)
      @full_backtrace = false
      @log_lines = 500
      @forks = { before: [], after: [] }
      @middleware = Execution::Middleware.new
    end

    # @param cache [Object, false, nil]
    # @return [void]
    # @raise [ArgumentError] it is no cache
    # @example
    #   config.cache = Flowline::Cache::File.new
    def cache=(cache)
      sound = [nil, true, false, :rails].include?(cache) || Cache.of(cache)
      raise ArgumentError, "cache: must be a cache, false for none or nil for one in memory, not #{TypeHints.excerpt(cache)}", caller unless sound

      @cache = cache
    end

    # @param count [Integer]
    # @return [void]
    # @raise [ArgumentError] it is no whole number from 1 up
    def log_lines=(count)
      raise ArgumentError, "log_lines: must be a whole number from 1 up, not #{count.inspect}" unless count.is_a?(Integer) && count.positive?

      @log_lines = count
    end

    # @return [Symbol, String, #execute]
    def executor
      @executor || setting("FLOWLINE_EXECUTOR") || @defaults[:executor]
    end

    # @return [Array<Pipeline>] those with a name
    # @raise [Error] another object is among them
    def pipelines
      given = @pipelines || @defaults[:pipelines]
      list = given.respond_to?(:call) ? given.call : given
      list.map { |object| Pipeline.from(object) || raise(Error, "config.pipelines: #{TypeHints.describe(object)} is no pipeline") }.select(&:name)
    end

    # @return [Symbol, #call, Array, nil, false]
    def reporter
      @reporter.nil? ? @defaults[:reporter] : @reporter
    end

    # Sets what holds where neither the program nor the environment says anything: what a framework sets.
    # @param values [Hash] +executor:+, +pipelines:+, +reporter:+ and +root:+
    # @return [void]
    # @api private
    def default(**values)
      @defaults = @defaults.merge(values)
    end

    # @return [String] what the executor was set by, for messages
    # @api private
    def executor_origin
      @executor ? "Flowline.config.executor" : "FLOWLINE_EXECUTOR"
    end

    # Registers a block that is called before a child is forked for a step, in the thread that forks.
    # @yield without arguments
    # @return [void]
    def before_fork(&block)
      @forks[:before] << block
    end

    # Registers a block that is called in a child that was forked for a step, before the step runs. Use it to close
    # connections that cannot be inherited.
    # @yield without arguments
    # @return [void]
    # @example
    #   config.after_fork { REDIS.close }
    def after_fork(&block)
      @forks[:after] << block
    end

    # Replaces settings, be they defaults.
    # @param settings [Hash{Symbol => Object}]
    # @return [Hash{Symbol => Object}] those of before
    # @api private
    def replace(**settings)
      settings.to_h { |name, value| [name, instance_variable_get(:"@#{name}").tap { instance_variable_set(:"@#{name}", value) }] }
    end

    # @param moment [Symbol] +:before+ or +:after+
    # @api private
    def forking(moment)
      @forks[moment].each(&:call)
    end

    # @param directory [String, Pathname, nil] the directory of the store; nil: +FLOWLINE_ROOT+, or +.flowline+ in the working directory
    # @return [void]
    def root=(directory)
      @root = directory&.to_s
    end

    # @return [String]
    def root
      @root || setting("FLOWLINE_ROOT") || @defaults[:root]
    end

    private

    # @return [String, nil] the value of an environment variable that is not empty
    def setting(name)
      value = ENV.fetch(name, nil)
      value unless value == ""
    end
  end

  @config = Configuration.new

  class << self
    # @return [Configuration]
    attr_reader :config

    # Changes the settings of the process.
    # @yieldparam config [Configuration]
    # @return [void]
    # @example
    #   Flowline.configure { |config| config.root = "/var/lib/import" }
    def configure
      yield config
    end
  end
end
