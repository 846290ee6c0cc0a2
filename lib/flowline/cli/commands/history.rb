# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline history+: lists past runs.
      class History < StoreCommand
        include PipelineChoice
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "list past runs, the latest first"
        # An example of a call.
        EXAMPLE = "flowline history import --status failed --since 2024-01-31 --limit 20"

        private

        def declare(parser)
          super
          @params = {}
          choice(parser, "status", Flowline::History::STATUSES, default: nil)
          parser.on("--param NAME=VALUE", "only runs with this param; may be given several times") { |pair| param(pair) }
          option(parser, "trigger", "only runs that this started: cli, rake, job, web, ruby, or a word of --trigger", value: "KIND")
          option(parser, "text", "only runs with this text in their id, name, params or error", value: "TEXT")
          option(parser, "since", "only runs that started then or later: a date or a time", value: "TIME")
          option(parser, "before", "only runs before this one, for the next page", value: "RUN_ID")
          count(parser, "limit", "how many runs; default #{Flowline::History::PAGE}", short: "-n")
        end

        def param(pair)
          name, value = pair.split("=", 2)
          raise Usage, "#{label}: --param #{pair} has no value; write --param #{pair}=VALUE" if value.nil?

          @params[name.to_sym] = value
        end

        def rows
          before = @options[:before]
          raise NotFound, "#{label}: there is no run #{before} in #{root}" if before && store && Flowline::History.run(before, root: root).nil?

          Flowline::History.runs(**@options.slice(:pipeline, :status, :trigger, :text, :limit, :before), params: @params, since: since, root: root)
        end

        def since
          return unless @options[:since]

          require "time"
          Time.parse(@options[:since])
        rescue ArgumentError
          raise Usage, "#{label}: --since #{@options[:since]} is no time; write it as 2024-01-31 or 2024-01-31T12:00:00"
        end

        # Names the options that left no run.
        def absence
          given = [*@options.slice(:pipeline, :status, :trigger, :text, :since, :before), *@params.map { |name, value| [:param, "#{name}=#{value}"] }]
          return super if store.nil? || unknown_pipeline? || given.empty?

          "no run with #{given.map { |name, value| "--#{name} #{Name.show(value)}" }.join(" and ")} in #{root}"
        end

        def data(run)
          run.to_h
        end

        def show(run)
          put([headline(run), facts(run)].compact.join("  "))
        end
      end
    end
  end
end
