# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline run FILE+: runs a pipeline.
      class Run < FileCommand
        # Its line in the list of commands.
        SUMMARY = "run a pipeline"
        # An example of a call.
        EXAMPLE = "flowline run import.rb --param date=2024-01-31 --verbose"

        # Options that a resumed run needs again, because they are not recorded.
        AGAIN = %i[pipeline executor max_threads max_processes require].freeze
        # Options that +Pipeline#run+ takes as well.
        PASSED = %i[executor max_threads max_processes resume exclusive exclusive_wait from only].freeze
        # Options that mean something under one executor only.
        WORKERS = { max_threads: "parallel", max_processes: "process" }.freeze
        # The values of --progress.
        PROGRESS = [*Reporter::Console::PROGRESS, :json].freeze
        private_constant :PROGRESS, :AGAIN, :PASSED, :WORKERS

        private

        def declare(parser)
          super
          @params = {}
          parser.on("--param NAME=VALUE", "a param of the pipeline; once for each param") { |pair| param(pair) }
          declare_selection(parser)
          declare_exclusive(parser)
          option(parser, "trigger", "what starts the run, for the history, such as schedule; default cli", value: "KIND")
          option(parser, "executor", "where steps run: #{Executor.names.join(", ")}", value: "NAME")
          count(parser, "max-threads", "how many steps run at a time (parallel)", value: "N")
          count(parser, "max-processes", "how many steps run at a time (process)", value: "N")
          option(parser, "root", "the store: default FLOWLINE_ROOT, else .flowline", value: "DIRECTORY")
          declare_output(parser)
        end

        def declare_selection(parser)
          option(parser, "resume", "continue the last run if it did not succeed; without params: the latest that can be resumed")
          option(parser, "from", "run this step and everything downstream again", value: "STEP")
          parser.on("--only STEPS", Array, "run only these steps: a,b  +a (and upstream)  a+ (and downstream)  tag:x") do |names|
            @options[:only] = names.map(&:to_s) # Nothing between two commas is nil.
          end
        end

        def expected(flag)
          { "--exclusive" => "--exclusive or --exclusive=params", "--exclusive-wait" => "a number of seconds" }.fetch(flag) { super }
        end

        def declare_exclusive(parser)
          parser.on("--exclusive[=params]", /\Aparams\z/, "one run of the pipeline at a time; params: one with the same params") do |scope|
            @options[:exclusive] = scope ? :params : true
          end
          option(parser, "exclusive-wait", Float, "wait this long for a run that excludes this one", value: "SECONDS")
        end

        def declare_output(parser)
          choice(parser, "progress", PROGRESS, "HOW")
          option(parser, "json", "write events to standard output, one JSON object a line; as --progress json")
          option(parser, "verbose", "also print params, and the backtrace through your code")
          option(parser, "quiet", "print only failures; as --progress none")
          choice(parser, "color", Reporter::Terminal::COLOR)
        end

        def hint(argument)
          "; write a param as --param #{argument}" if argument.match?(/\A\w+=/)
        end

        def param(pair)
          name, value = pair.split("=", 2)
          raise Usage, "#{label}: --param #{pair} has no value; write --param #{pair}=VALUE" if value.nil?
          raise Usage, "#{label}: --param #{name} is given twice" if @params.key?(name)

          @params[name] = value
        end

        def work_on(file)
          name, pipeline = file.choose(@options[:pipeline])
          Flowline.config.root = File.expand_path(@options[:root]) if @options[:root]
          @trigger = trigger
          @resume = resume_command(file, pipeline) if Flowline.config.store && pipeline.name
          file.check { with_output { start(pipeline, name, { params: @params, **@options.slice(*PASSED) }) } }
        rescue Usage => e
          raise e unless e.cause.is_a?(ParamError) && e.cause.problems.grep(/param /).any?

          raise Usage, "#{e.message}#{e.cause.problems.one? ? "; " : "\n"}params are given as --param NAME=VALUE"
        end

        def trigger
          Recording::Trigger.check(@options[:trigger] || "cli")
        rescue ArgumentError => e
          raise Usage, "#{label}: --trigger: #{e.message}"
        end

        def resume_command(file, pipeline)
          ResumeCommand.new(file, pipeline, options: @options.slice(*AGAIN), params: @params, root: Flowline.config.root)
        end

        # Warns of options that have no effect.
        def warn_of_options(pipeline, options)
          executor = (@options[:executor] || pipeline.settings[:executor] || Flowline.config.executor).to_s
          WORKERS.each do |option, needed|
            next if @options[option].nil? || executor == needed

            options.delete(option) # The run would warn of it in Ruby's words.
            warn_line("--#{option.to_s.tr("_", "-")} has no effect: it is for --executor #{needed}, and this run has #{executor}")
          end
          warn_of_resume(pipeline) if @options[:resume]
          warn_of_exclusive(pipeline) if @options[:exclusive]
        end

        # Says what the run is about to wait for: nothing else is seen of it until then.
        def tell_of_wait(pipeline)
          return unless @options[:exclusive] && @options[:exclusive_wait] && progress != :none && pipeline.name && Flowline.config.store

          run = Flowline::History.runs(pipeline: pipeline.name, status: :running).find { |other| other.alive? && excludes?(other) } or return
          params = run.params.map { |name, value| "#{Name.show(name)}: #{value.nil? ? "nil" : Name.show(value)}" }.join(", ")
          which = params.empty? ? run.run_id : "#{run.run_id} (#{params})"
          warn_line("waits up to #{@options[:exclusive_wait].to_s.delete_suffix(".0")}s for run #{which} in process #{run.pid}")
        end

        # As far as it can be seen from the params.
        def excludes?(run)
          @options[:exclusive] == true || @params.all? { |name, value| [value, "[secret]"].include?(run.params[name.to_sym]) }
        end

        def warn_of_resume(pipeline)
          return if pipeline.name

          warn_line("--resume has no effect: the pipeline has no name:, so its runs are not recorded; add name: to Flowline.define")
        end

        def warn_of_exclusive(pipeline)
          return if pipeline.name && Flowline.config.store

          why = pipeline.name ? "the store is off" : "the pipeline has no name:, so other processes cannot see its runs; add name: to Flowline.define"
          warn_line("--exclusive has no effect: #{why}")
        end

        def warn_line(text)
          Signals.say(@err, "flowline: #{Text.plain(text)}")
        end

        # With --json, standard output has the events and nothing else: what steps and their children print goes to standard error.
        def with_output
          own = STDOUT # rubocop:disable Style/GlobalStdStream -- children of steps inherit it
          return yield unless json? && @out.equal?(own)

          begin
            @out = own.dup
            own.reopen($stderr)
            yield
          ensure
            own.reopen(@out)
          end
        end

        def start(pipeline, name, options)
          warn_of_options(pipeline, options)
          tell_of_wait(pipeline)
          status = discarding { Session.new(@err, trigger: @trigger, resume: @resume).call(pipeline, options, reporters(name)) }
          status.zero? && @events&.broken? ? 1 : status
        end

        def discarding(&block)
          $stdout.equal?(STDOUT) ? Discard.during($stdout, &block) : yield # rubocop:disable Style/GlobalStdStream -- not that of a test
        end

        def json?
          @options[:json] || @options[:progress] == :json
        end

        def progress
          @options[:quiet] ? :none : @options[:progress] || :auto
        end

        def reporters(name)
          terminal = Reporter::Terminal.new(@err, color: @options[:color] || :auto)
          warn_line("--progress live has no effect: standard error is not a terminal that can be redrawn") if progress == :live && !terminal.redraws?
          how = { verbose: @options[:verbose], progress: json? ? :plain : progress, advice: Advice.method(:of_warning) }
          console = Reporter::Console.new(terminal, title: name, resume: @resume, **how)
          return [console] unless json?

          @events = Events.new(Reporter::JSON.new(@out), @err)
          @options[:verbose] ? [@events, console] : [@events]
        end
      end
    end
  end
end
