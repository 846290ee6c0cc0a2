# frozen_string_literal: true

require "rake"
require "rake/tasklib"

module Flowline
  # Tasks of rake for a pipeline: one that runs it, and +:plan+, +:resume+ and +:status+ below that. The library and the
  # pipeline are loaded when a task runs, so that other tasks of the Rakefile start quickly.
  #
  #   # Rakefile
  #   require "flowline/rake_task"
  #   Flowline::RakeTask.new(:import, "ImportPipeline", executor: :parallel)
  #   task import: :download        # runs before the pipeline
  #   task deploy: :import          # runs after it
  #
  #   $ rake import[2024-01-31]     # params in the order in which they are defined
  #   $ rake import[limit=10]       # or by name
  #   $ rake import date=2024-01-31 # also as variables of rake's command line
  #   $ rake import:plan import:resume import:status
  #
  # A run that fails is described once, and rake ends with the exit status that +flowline run+ has: 1 a step failed, 2 wrong
  # params or definition, 75 locked by another run, 130 or 143 interrupted. Where there is a task +environment+, as in a Rails
  # application, it runs before the pipeline is loaded.
  class RakeTask < ::Rake::TaskLib
    # Arguments of a task, and variables of rake's command line.
    PAIR = /\A(\w+)=(.*)\z/m
    private_constant :PAIR

    # Defines the tasks.
    # @param name [Symbol, String, Hash] of the task that runs the pipeline; +{ import: :download }+ also says what it depends on
    # @param pipeline [Pipeline, Class, String, #call, nil] a pipeline, a pipeline class, the name of a constant, a Ruby file that
    #   defines one pipeline (its name ends in +.rb+), or a lambda that returns a pipeline
    # @param options [Hash] options of {Pipeline#run}, and params, for every run. +reporter:+ replaces the lines on standard
    #   error, except those of a failure
    # @yieldreturn [Pipeline, Class] instead of +pipeline+
    # @raise [ArgumentError] there is no pipeline, or there are two
    # @example
    #   Flowline::RakeTask.new(:import) { Etl::Import }
    def initialize(name, pipeline = nil, **options, &block)
      super()
      raise ArgumentError, "Flowline::RakeTask.new(#{name.inspect}, …): give a pipeline or a block that returns one" if pipeline.nil? == block.nil?

      @source = pipeline || block
      @options = options
      define(*(name.is_a?(Hash) ? name.first : name))
    end

    private

    def define(name, dependencies = [])
      names = parameter_names
      ::Rake.application.last_description ||= "Run #{title(name)}"
      @task = task(name, names => dependencies) { |_, given| finish { run(given) } }
      namespace(name) do
        desc "Show what #{@task.name} would do, and why, without running anything"
        task(:plan, names) { |_, given| finish { plan(given) } }
        desc "Resume the latest run of #{@task.name} that did not succeed"
        task(:resume, names) { |_, given| finish { resume(given) } }
        desc "Show the last run of #{@task.name}, step by step"
        task(:status) { finish { status } }
      end
    end

    # @return [Array<Symbol>] the params, as far as they are known before anything is loaded
    def parameter_names
      defined?(Pipeline) && (found = Pipeline.from(@source)) ? found.params.keys : []
    end

    def title(name)
      described = Pipeline.from(@source)&.description if defined?(Pipeline)
      return "the pipeline #{name}: #{described}" if described

      "the pipeline #{@source.is_a?(String) ? @source : name}"
    end

    # Calls the block, and ends rake if the exit status that it returns is another one than 0.
    def finish
      require_relative "cli"
      ::Rake::Task[:environment].invoke if ::Rake::Task.task_defined?(:environment)
      status = begin
        yield
      rescue Error => e
        session.say(e.message)
        CLI::Dispatcher.status(e)
      end
      exit(status) unless status.zero?
    end

    def run(given)
      perform(options(given))
    end

    def plan(given)
      $stdout.puts(pipeline.run(**options(given).except(:reporter), dry_run: true))
      0
    end

    # Resumes a run, and never starts a new one.
    def resume(given)
      check_recording
      ids, rest = given.to_a.partition { |value| value.is_a?(String) && value.match?(CLI::Unfinished::RUN_ID) }
      options = options(::Rake::TaskArguments.new(given.names, rest, given))
      unfinished = CLI::Unfinished.new(pipeline, options[:params].transform_keys(&:name))
      id = ids.first || unfinished.run_id or return nothing(unfinished.why_not)

      @task.prerequisite_tasks.each(&:invoke)
      perform({ **options, resume: id })
    end

    def nothing(why)
      session.say("nothing to resume: #{why} (looked in #{Store.path(Flowline.config.root)})")
      0
    end

    def status
      check_recording
      CLI::Commands::Status.new($stdout, $stderr).call(["--pipeline=#{pipeline.name}"])
    end

    def check_recording
      refuse("runs of a pipeline without a name: are not recorded; add name: to Flowline.define") unless pipeline.name
      refuse("recording is off; set FLOWLINE_STORE=on") unless Flowline.config.store
    end

    def perform(options)
      session.call(pipeline, options.except(:reporter), reporters(Reporter.resolve(options[:reporter])))
    end

    def session
      CLI::Session.new($stderr, label: @task.name, trigger: "rake", resume: method(:resume_command))
    end

    # @return [Array<#call>] those of the user, and one that prints failures unless they do
    def reporters(own)
      return own if own.any?(Reporter::Console)

      quiet = own.any? || ::Rake.verbose == false
      [*own, Reporter::Console.new($stderr, title: pipeline.name || @task.name, verbose: ::Rake.application.options.trace,
                                            progress: quiet ? :none : :auto, resume: method(:resume_command))]
    end

    def resume_command(run_id = nil)
      "#{::Rake.application.name} #{run_id ? "\"#{@task.name}:resume[#{run_id}]\"" : "#{@task.name}:resume"}"
    end

    def pipeline
      @pipeline ||= Pipeline.from(found = load_pipeline) || refuse("#{TypeHints.describe(found)} is no pipeline")
    end

    # An error of the user's code is rake's to print.
    def load_pipeline
      case @source
      when Pipeline, Class then @source
      when /\.rb\z/ then CLI::PipelineFile.load(@source).choose(nil).last
      when String, Symbol then constant(@source.to_s)
      else @source.respond_to?(:call) ? @source.call : @source
      end
    rescue StandardError, ScriptError => e
      e.set_backtrace(Backtrace.clean(e.backtrace))
      raise
    end

    def constant(name)
      Object.const_get(name)
    rescue NameError => e
      raise unless name.split("::").include?(e.name.to_s)

      refuse("there is no constant #{name}; require its file in the Rakefile, or give its file: Flowline::RakeTask.new(…, \"path/to/file.rb\")")
    end

    def refuse(why)
      raise CLI::Usage, why
    end

    # @return [Hash] the options of the run, of which +:params+ has the params that were given for this run
    def options(given)
      params = { **@options.fetch(:params, {}), **params(given) }
      { **@options.reject { |name, _| params.key?(name) && !Definition::Options::RUN.key?(name) }, params: params }
    end

    # Returns the params of a run. Arguments of the task take precedence over variables of the command line.
    def params(given)
      named, rest = arguments(given)
      passed_on = passed_on(given)
      free = pipeline.params.keys - named.keys - passed_on.keys
      refuse("#{rest.size} arguments are too many; the params are #{list(pipeline.params.keys)}") if rest.size > free.size
      positional = free.zip(rest).reject { |_, value| value.nil? || value == "" }.to_h
      { **variables, **passed_on, **positional, **named }
    end

    # @return [Array(Hash, Array)] the arguments that have names, and the others
    def arguments(given)
      named, rest = in_order(given).partition { |value| value.is_a?(Hash) || (value.is_a?(String) && value.match?(PAIR)) }
      pairs = named.flat_map { |value| value.is_a?(Hash) ? value.to_a : [value.match(PAIR).captures] }
      pairs = pairs.map { |name, value| [known(name.to_sym), value] }
      twice = pairs.map(&:first).tally.find { |_, count| count > 1 }
      refuse("param #{twice.first} is given twice") if twice
      [pairs.to_h, rest]
    end

    # Returns the arguments, of which those without a name fill the places that are empty: rake appends the surplus arguments of the
    # task that this one was invoked for.
    def in_order(given)
      own = given.to_a.first(given.names.size)
      surplus = given.to_a.drop(own.size)
      own.map { |value| value.nil? ? surplus.shift : value } + surplus
    end

    def known(name)
      return name if pipeline.params.key?(name)

      refuse("there is no param #{name}#{Name.suggest(name, pipeline.params.keys, known: "the params are")}")
    end

    # Returns the arguments of the task that this one was invoked for, as far as they have the names of params. (Rake passes on
    # those that are named in this task.)
    def passed_on(given)
      (pipeline.params.keys - given.names).to_h { |name| [name, given[name]] }.compact
    end

    # Returns the params among the variables of rake's command line: +date=2024-01-31+, or +DATE=2024-01-31+. Other variables of
    # the environment may have their names by chance.
    def variables
      written = ARGV.filter_map { |argument| argument.match(PAIR)&.captures }.to_h
      pipeline.params.each_key.to_h { |name| [name, written[name.name] || written[name.name.upcase]] }.compact
    end

    def list(names)
      names.empty? ? "none" : names.map { |name| Name.show(name) }.join(", ")
    end
  end
end
