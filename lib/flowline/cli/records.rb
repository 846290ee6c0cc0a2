# frozen_string_literal: true

module Flowline
  module CLI
    # What the commands on the store share.
    class Records < Command
      private

      def file?
        false
      end

      def declare(parser)
        parser.on("--root DIRECTORY", "the store (FLOWLINE_ROOT, else .flowline)") { |root| @options[:root] = root }
        parser.on("--json", "as JSON") { @options[:json] = true }
      end

      def work_with(arguments)
        raise Usage, "#{label}: takes no argument #{arguments.first}" unless arguments.empty?

        found = facts
        return @out.puts(json(found)) || 0 if @options[:json]

        @err.puts("#{label}: #{nothing}") if found.empty? && !@cleared
        found.each { |fact| show(fact) }
        0
      end

      def root
        @options[:root] || Flowline.config.root
      end

      def runs(limit, name = @options[:pipeline])
        store = Store.existing(root) or return []
        limit ||= 1 if name
        limit ? store.runs(name, limit) : store.last_runs
      end

      # What is told of a run.
      def facts_of(run)
        { run_id: run.run_id, pipeline: run.pipeline, resumed: run.resumed, status: run.status, pid: run.pid,
          elsewhere: run.alive && run.elsewhere?, started_at: run.started_at, duration: run.duration, error: run.error }
      end

      def nothing
        name = @options[:pipeline] or return "nothing in #{root}"
        "nothing of pipeline #{Name.show(name)} in #{root}#{Name.suggest(name, runs(nil, nil).map(&:pipeline), known: "there are")}"
      end

      def json(found)
        require "json"
        require "time"
        ::JSON.pretty_generate(found.map { |fact| fact.transform_values { |value| value.is_a?(Time) ? value.iso8601(3) : value } })
      end

      def headline(run)
        time = run[:duration] ? format("%.2fs", run[:duration]) : ""
        started = run[:started_at].strftime("%Y-%m-%d %H:%M:%S")
        status = run[:elsewhere] ? "#{run[:status]} elsewhere" : run[:status]
        [Name.show(run[:pipeline]).ljust(20), status.ljust(9), started, time.rjust(8), run[:run_id]].join("  ")
      end
    end

    # +flowline status+: how the last run of every pipeline went.
    class Status < Records
      # What it does, for the list of commands.
      SUMMARY = "say how the last runs went, step by step"
      # How it is called.
      EXAMPLE = "flowline status --pipeline import"

      private

      def facts
        runs(nil).map do |run|
          facts_of(run).merge(steps: Store.existing(root).steps(run.id).map { |step| step.to_h.except(:run, :position) })
        end
      end

      def show(run)
        @out.puts(headline(run))
        run[:steps].each do |step|
          time = step[:duration] ? format("%.2fs", step[:duration]) : step[:reason].to_s
          mark = Reporter::Console::MARKS.fetch(step[:status].to_sym)
          @out.puts("  #{mark} #{Name.show(step[:name]).ljust(20)}  #{step[:status].ljust(9)}  #{time}".rstrip)
        end
        errors = run[:steps].map { |step| step[:error] } - [run[:error]]
        run[:error]&.lines(chomp: true)&.first(3)&.each { |line| @out.puts("  #{Name.show(line)}") unless line.empty? }
        errors.compact.each { |error| @out.puts("  #{Name.show(error.lines.first.chomp)}") }
      end
    end

    # +flowline history+: the runs of the past.
    class History < Records
      # What it does, for the list of commands.
      SUMMARY = "list the runs of the past, the latest first"
      # How it is called.
      EXAMPLE = "flowline history --pipeline import --limit 20"

      private

      def declare(parser)
        super
        parser.on("--limit COUNT", /\A[1-9]\d*\z/, "how many (20)") { |limit| @options[:limit] = Integer(limit) }
      end

      def facts
        runs(@options[:limit] || 20).map { |run| facts_of(run) }
      end

      def show(run)
        @out.puts(headline(run))
      end
    end

    # +flowline cache+: what a file cache holds.
    class Cache < Records
      # What it does, for the list of commands.
      SUMMARY = "say what a file cache holds, by pipeline and step; or clear it"
      # How it is called.
      EXAMPLE = "flowline cache --clear import/fetch"

      private

      def declare(parser)
        super
        parser.on("--dir DIRECTORY", "the cache (cache within the store)") { |path| @options[:dir] = path }
        parser.on("--clear NAME", "forget what a pipeline, or PIPELINE/STEP, has in it; all: everything") { |name| @options[:clear] = name }
      end

      def facts
        return [] unless Store.existing(path)

        cache = Flowline::Cache::File.new(path)
        clear(cache, @options[:clear]) if @options[:clear]
        groups = cache.entries.group_by { |entry| entry[:key].rpartition("/").first }
        groups.map { |name, entries| { name: name, entries: entries.size, bytes: entries.sum { |entry| entry[:size] } } }
      end

      def path
        @options[:dir] || ::File.join(root, "cache")
      end

      def nothing
        "nothing in #{path}"
      end

      def clear(cache, name)
        keys = cache.entries.map { |entry| entry[:key] }
        old = name == "all" ? keys : keys.select { |key| key.start_with?("#{name}/") }
        return missing(name, keys) if old.empty? && name != "all"

        cache.clear(*("#{name}/" unless name == "all"))
        @cleared = true
        @err.puts("cache: forgot #{old.size} #{old.size == 1 ? "entry" : "entries"}")
      end

      def missing(name, keys)
        steps = keys.map { |key| key.rpartition("/").first }.uniq
        known = steps.map { |step| step.rpartition("/").first }.uniq + steps
        @err.puts("cache: nothing of #{Name.show(name)} in #{path}#{Name.suggest(name, known, known: "there are")}")
      end

      def show(group)
        @out.puts("#{group[:name].ljust(30)}  #{group[:entries]} #{group[:entries] == 1 ? "entry" : "entries"}  #{group[:bytes]} bytes")
      end
    end
  end
end
