# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline state [PIPELINE]+: shows or changes the state that pipelines have between their runs.
      class State < StoreCommand
        # Its line in the list of commands.
        SUMMARY = "show the state that pipelines have between their runs, or change it"
        # An example of a call.
        EXAMPLE = "flowline state import --set until=2024-01-31"

        private

        def declare(parser)
          super
          @changes = {}
          parser.on("--set NAME=VALUE", "write a value: JSON, or else a text; may be given several times") { |pair| set(pair) }
          parser.on("--delete NAME", "delete a value; may be given several times") { |name| @changes[name] = nil }
        end

        def argument
          "[PIPELINE]"
        end

        def set(pair)
          name, value = pair.split("=", 2)
          raise Usage, "#{label}: --set #{pair} has no value; write --set #{pair}=VALUE" if value.nil?

          @changes[name] = [value]
        end

        def work(arguments)
          raise Usage, "#{label}: one pipeline at a time; #{arguments[1]} is one too many" if arguments.size > 1

          @pipeline = arguments.first
          raise Usage, "#{label}: name the pipeline whose state to change, as in: #{EXAMPLE}" if @pipeline.nil? && !@changes.empty?

          change unless @changes.empty?
          super([])
        end

        def change
          raise NotFound, "#{label}: #{absence}" unless store

          known = store.state(@pipeline).map(&:key)
          missing = @changes.keys.find { |name| @changes[name].nil? && !known.include?(name) }
          raise NotFound, "#{label}: #{@pipeline} has no #{missing}#{Name.suggest(missing, known)}" if missing

          now = Time.now.to_f
          store.change_state(@pipeline, @changes.map { |name, given| given ? written(name, parse_value(given.first), now) : [name, nil, "", now] })
        end

        def written(name, value, now)
          [name, Marshal.dump(value), Native.preview(value).last, now]
        end

        def parse_value(text)
          require "json"
          ::JSON.parse(text)
        rescue ::JSON::ParserError
          text
        end

        def rows
          return [] unless store

          store.state(@pipeline).map do |value|
            { pipeline: value.pipeline, name: value.key, value: value.shown, bytes: value.value.bytesize,
              written_at: Time.at(value.written), run_id: value.run_id }
          end
        end

        def show(row)
          @out.puts("#{Name.show(row[:pipeline])}  #{Name.show(row[:name])} = #{row[:value]}  (#{row[:written_at].strftime("%Y-%m-%d %H:%M:%S")})")
        end

        def absence
          return super unless store && @pipeline

          "pipeline #{Name.show(@pipeline)} has no state in #{root}#{Name.suggest(@pipeline, store.state.map(&:pipeline).uniq)}"
        end
      end
    end
  end
end
