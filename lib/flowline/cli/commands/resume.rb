# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline resume [FILE] [RUN_ID]+: resumes a run that did not succeed. It never starts a new run.
      class Resume < Run
        # Its line in the list of commands.
        SUMMARY = "resume the latest run that did not succeed, or the one with an id; start no new run"
        # An example of a call.
        EXAMPLE = "flowline resume import.rb"
        # The statuses of runs that can be resumed.
        UNFINISHED = %w[failed timed_out cancelled crashed].freeze
        private_constant :UNFINISHED

        private

        def argument
          "[FILE] [RUN_ID]"
        end

        # Without the options that would run something else.
        def declare_selection(_parser); end

        def work(arguments)
          ids, files = arguments.partition { |argument| Unfinished::RUN_ID.match?(argument) }
          extra = ids[1] || files[1]
          refuse(extra, ids.empty? && files.size == 2) if extra

          Flowline.config.root = File.expand_path(@options[:root]) if @options[:root]
          return nothing("recording is off; set FLOWLINE_STORE=on") unless Flowline.config.store

          @run_id = ids.first
          files.empty? ? find_file : work_on(open_pipeline(files.first))
        end

        # @param perhaps [Boolean] whether a run id may have been meant
        def refuse(argument, perhaps)
          unlike = perhaps && !File.exist?(argument) && !argument.end_with?(".rb")
          raise Usage, "#{label}: #{argument} is no run id; one is like 20261124T015539-04c21255" if unlike

          raise Usage, "#{label}: one run of one file at a time; #{argument} is one too many#{hint(argument)}"
        end

        # Resumes a run whose file is recorded with it.
        def find_file
          application.load unless @options[:root]
          store = Store.existing(root) or return nothing("there is no store")
          run = find(store) or return nothing(@run_id ? "there is no such run" : "no run in it failed, timed out, was cancelled or crashed")
          @run_id = run.run_id
          @options[:pipeline] = run.pipeline
          path = run.location && File.expand_path(run.location[/\A(.+):\d+\z/, 1].to_s, run.directory || Dir.pwd)
          raise Usage, "#{label}: name the file of #{run.pipeline}; it is not recorded with run #{run.run_id}" unless path
          raise Usage, "#{label}: #{path}, which defines #{run.pipeline}, is no file any more; name its file" unless File.file?(path)

          work_on(PipelineFile.load(path, application))
        end

        # @return [Store::Run, nil] the run with the id, or the latest that can be resumed
        def find(store)
          runs = store.runs.reject(&:damaged?)
          return runs.find { |run| run.run_id == @run_id } if @run_id

          runs.uniq { |run| [run.pipeline, run.identity] }.find { |run| UNFINISHED.include?(run.status) }
        end

        def work_on(file)
          _, pipeline = file.choose(@options[:pipeline])
          raise Usage, "#{label}: runs of a pipeline without a name: are not recorded; add name: to Flowline.define" unless pipeline.name

          @options[:resume] = @run_id || choose(unfinished = Unfinished.new(pipeline, @params))
          @options[:resume] ? super : nothing(unfinished.why_not)
        end

        def choose(unfinished)
          unfinished.run_id
        rescue Usage => e
          raise Usage, "#{label}: #{e.message}"
        end

        def root
          Flowline.config.root
        end

        # Says so, but not to a timetable that resumes whatever has failed, and wants to know of failures only.
        def nothing(why)
          @err.puts("#{label}: nothing to resume: #{why} (looked in #{Store.path(root)})") if @run_id || progress != :none
          0
        end
      end
    end
  end
end
