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
          raise Usage, "#{label}: #{absence}" unless pipelines.include?(@pipeline)

          known = store.state(@pipeline).to_h { |value| [value.key, value.value] }
          missing = @changes.keys.find { |name| @changes[name].nil? && !known.key?(name) }
          raise NotFound, "#{label}: #{@pipeline} has no #{missing}#{Name.suggest(missing, known.keys)}" if missing

          now = Time.now.to_f
          changes = @changes.map { |name, given| given ? written(name, given.first, known, now) : [name, nil, "", now] }
          store.change_state(@pipeline, changes)
        end

        def written(name, text, known, now)
          value = GivenValue.of(name, text, known[name])
          hint_at(name, known.keys) unless known.key?(name)
          [name, Marshal.dump(value), Recording::Shown.value(value), now]
        rescue GivenValue::Mismatch => e
          raise Usage, "#{label}: #{e.message}; to change its kind: --delete #{name} first"
        end

        # A new value may be a slip of the pen.
        def hint_at(name, known)
          nearest = Native.nearest(name, known)
          @err.puts("#{label}: #{Name.show(name)} is new; did you mean #{Name.show(nearest)}?") if nearest
        end

        # @return [Array<String>] those that have runs or state
        def pipelines
          @pipelines ||= store.last_runs.map(&:pipeline) | store.state.map(&:pipeline)
        end

        # @return [Integer] 2 if the pipeline does not exist
        def missing
          @pipeline && store && !pipelines.include?(@pipeline) ? 2 : super
        end

        def rows
          return [] unless store

          store.state(@pipeline).map do |value|
            { pipeline: value.pipeline, name: value.key, value: value.shown, bytes: value.value.bytesize,
              written_at: Time.at(value.written), run_id: value.run_id }
          end
        end

        def show(row)
          written = row[:written_at].strftime("%Y-%m-%d %H:%M:%S")
          @out.puts("#{Name.show(row[:pipeline])}  #{Name.show(row[:name])} = #{Text.line(row[:value])}  (#{written})")
        end

        def absence
          return super unless store && @pipeline

          "pipeline #{Name.show(@pipeline)} has no state in #{root}#{Name.suggest(@pipeline, pipelines - [@pipeline])}"
        end
      end
    end
  end
end
