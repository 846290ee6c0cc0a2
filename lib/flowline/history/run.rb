# frozen_string_literal: true

module Flowline
  module History
    # A recorded run. Its steps, its graph and its checkpoint are read when they are asked for.
    class Run
      # @return [String]
      attr_reader :run_id
      # @return [String] the name of its pipeline
      attr_reader :pipeline
      # @return [Symbol] one of {STATUSES}, or +:damaged+
      attr_reader :status
      # @return [Hash{Symbol => String, nil}] its params as short texts; secrets as "[secret]"
      attr_reader :params
      # @return [Symbol, nil] the kind of caller that started it: +:cli :rake :job :web :ruby+, or what {Flowline.trigger} or
      #   +flowline run --trigger+ said
      attr_reader :trigger
      # @return [String, nil] the id of the job that started it
      attr_reader :job
      # @return [Time]
      attr_reader :started_at
      # @return [Float, nil] seconds; nil: it has not ended, or it has crashed
      attr_reader :duration
      # @return [String, nil] the message of its error
      attr_reader :error
      # @return [String, nil] the id of the run that it resumed
      attr_reader :resumed
      # @return [String, nil] the id of the latest run that resumed it
      attr_reader :resumed_by
      # @return [String, nil] the line that defines its pipeline, as +file:line+
      attr_reader :location
      # @return [String, nil] its working directory
      attr_reader :directory
      # @return [Integer] the number of its process
      attr_reader :pid
      # @return [Hash{Symbol => Integer}] how many of its steps ended in which way
      attr_reader :counts
      # @return [ItemCounts, nil] how the items of all its steps ended; nil: no step had items
      attr_reader :items

      # @param store [Store::SQLite]
      # @param row [Store::Run]
      # @api private
      def initialize(store, row)
        @store = store
        @row = row
        %i[run_id pipeline duration error location directory pid resumed resumed_by].each { |name| instance_variable_set(:"@#{name}", row[name]) }
        @status = row.status.to_sym
        @started_at = Time.at(row.started)
        @trigger, @job = Recording::Trigger.parse(row.trigger)
        @params = parse(row.shown, {}).transform_keys(&:to_sym)
        @counts = row.outcomes.to_s.split(", ").to_h { |text| text.split.then { |name, count| [name.to_sym, count.to_i] } }
        @items = Run.items(row) if row.items_done
      end

      # @param row [Store::Run]
      # @return [ItemCounts] of all its steps
      # @api private
      def self.items(row)
        ItemCounts.new(done: row.items_done, restored: row.items_restored || 0, failed: row.items_failed || 0, retries: 0).freeze
      end

      # @param runs [Array<Run>] of a pipeline
      # @return [Run, nil] the first that succeeded, if possible without the outputs of another run: its steps have their times
      # @api private
      def self.comparable(runs)
        runs.find(&:whole?) || runs.find { |run| run.status == :succeeded }
      end

      # @return [Boolean] whether it succeeded and resumed no other run, so that its times are those of all steps
      # @api private
      def whole?
        status == :succeeded && resumed.nil?
      end

      # @return [Boolean] whether its process exists and works on it
      def alive?
        @row.alive == true
      end

      # @return [Boolean] whether its process belongs to another machine or container
      def elsewhere?
        alive? && @row.elsewhere?
      end

      # @return [Boolean] whether it has failed, timed out, was cancelled or has crashed
      def failed?
        !%i[running succeeded].include?(status)
      end

      # @return [Array<String>] what went wrong without failing anything
      def warnings
        parse(@row.warnings, [])
      end

      # Returns its steps, in the order of the definition. Of a run that goes on or has crashed, the steps that have not ended are
      # +:running+ if every step that they depend on has ended, else +:pending+: a step that was about to be called when its
      # process was killed counts as running. One that a cancelled run did not start is +:pending+.
      # @return [Array<Step>]
      def steps
        @steps ||= begin
          rows = @store.steps(@row.id)
          rows.concat(open_steps(rows)) if %i[running crashed].include?(status)
          recorded = recorded_items
          rows.sort_by(&:position).map { |row| Step.new(row, self, recorded[row.name]) }
        end
      end

      # @return [Step, nil]
      def step(name)
        (@by_name ||= steps.to_h { |step| [step.name, step] })[name.to_sym]
      end

      # @return [Live, nil] where it stands, if it goes on, or stood when its process crashed; nil: it has not shown that yet
      def live
        updated, body = @store.shown(@row.id)
        body && Live.new(updated, body, started_at)
      end

      # Returns what its steps have logged, and printed if that was captured: the first and the last lines of each.
      # @param step [Symbol, String, nil] only those of this step
      # @return [Array<Line>] in the order of time
      def logs(step = nil)
        log(step).first
      end

      # @param step [Symbol, String, nil]
      # @param after [Integer] the number of the last chunk that was read
      # @param last [Integer, nil] how many of the last chunks at most; nil: all
      # @return [Array(Array<Line>, Integer)] further lines, and the number of the last chunk now
      # @api private
      def log(step = nil, after: 0, last: nil)
        position = positions[step.to_sym] || (return [[], after]) if step
        names = positions.keys
        chunks = @store.logs(@row.id, position, after: after, last: last)
        lines = chunks.flat_map { |chunk| Line.of(chunk, (names[chunk.step] unless chunk.step.negative?), started_at) }
        [lines.each_with_index.sort_by { |line, index| [line.time, index] }.map(&:first), chunks.last&.id || after]
      end

      # @return [Hash{Symbol => Object}, nil] its graph: +steps+, each with +name+, +after+ (positions), +group+, +location+ and what else
      #   its declaration says; and +groups+. nil: an older version recorded the run
      def graph
        return unless @row.graph

        @graph ||= parse(@store.graph(@row.graph), nil, symbolize_names: true)
      end

      # @param other [Run] an earlier run
      # @param name [Symbol, String] a step
      # @return [Array<String>] what has changed about the step, in words
      # @api private
      def changes_since(other, name)
        step(name) && other.step(name) ? Why::Comparison.new(self, other, name.to_sym).changes.map(&:to_s) : []
      end

      # @param name [Symbol] a step
      # @param count [Integer]
      # @return [Array<Line>] the last lines of its log
      # @api private
      def last_lines(name, count)
        log(name, last: count).first.last(count)
      end

      # @param name [Symbol] a step
      # @return [Hash{Symbol => Object}, nil] the step in the {#graph}
      # @api private
      def node(name)
        positions[name]&.then { |position| graph[:steps][position] }
      end

      # @param limit [Integer]
      # @return [Array<Run>] the runs of its pipeline before it, the latest first
      # @api private
      def earlier(limit)
        @store.history(Store::Query.new(pipeline: pipeline, before: run_id, limit: limit)).map { |row| Run.new(@store, row) }
      end

      # @param run_id [String]
      # @return [Run, nil] another run of the same store
      # @api private
      def other(run_id)
        @store.history(Store::Query.new(run_id: run_id, limit: 1)).map { |row| Run.new(@store, row) }.first
      end

      # @return [Array<Symbol>] of a run that goes on: the steps that run even if it is cancelled, and have not ended
      def clean_ups
        always = (graph || { steps: [] })[:steps].select { |step| step[:run_if] == "always" }.map { |step| step[:name].to_sym }
        always & steps.select { |step| %i[running pending].include?(step.status) }.map(&:name)
      end

      # @return [Array<Symbol>] the steps that a run which resumes this one restores, unless their code has changed: their outputs are
      #   recorded, and so is all that they were made of
      def recorded
        return [] unless failed? || status == :running

        names = Restorable.new(graph&.fetch(:steps), @store.outcomes(@row.checkpoint), @store.sizes(@row.checkpoint).keys).names
        steps.map(&:name) & names.map(&:to_sym)
      end

      # Returns a report of the run: a page of one file, with its graph, a timeline, its steps, the last runs, and the differences
      # from an earlier one. It can be made of any run, also of one that goes on or has crashed.
      # @param path [String, nil] a file to write it to
      # @param against [Run, nil] the run to compare it with; nil: the latest before it that succeeded
      # @return [String] HTML
      # @raise [SystemCallError] the file cannot be written
      # @raise [StoreError] the store cannot be read
      # @example
      #   Flowline::History.run("20261124T015539-04c21255").report("run.html")
      def report(path = nil, against: nil)
        past = earlier(Report::Trend::RUNS)
        against ||= Run.comparable(past)
        Report.new(Report::Sources.recorded(self, past, against).tap { |data| Report::Logs.new(self).apply(data.steps) }).write(path)
      end

      # @return [Hash{Symbol => Object}] everything but the graph
      def to_h
        { run_id: run_id, pipeline: pipeline, status: status, params: params, trigger: trigger, job: job, resumed: resumed, resumed_by: resumed_by,
          pid: pid, elsewhere: elsewhere?, started_at: started_at, duration: duration, error: error, counts: counts,
          items: items&.to_h&.slice(*Step::ITEMS)&.compact, location: location, directory: directory, warnings: warnings }
      end

      # @return [String]
      def inspect
        "#<#{self.class} #{Name.show(pipeline)} #{run_id} #{status}>"
      end

      private

      # @return [Hash{Symbol => Integer}] by name, where a step is in the graph
      def positions
        @positions ||= (graph || { steps: [] })[:steps].each_with_index.to_h { |node, position| [node[:name].to_sym, position] }
      end

      def parse(text, default, **options)
        return default unless text

        require "json"
        ::JSON.parse(text, **options)
      end

      def recorded_items
        status == :succeeded || @row.damaged? ? {} : @store.item_counts(@row.checkpoint)
      end

      def open_steps(rows)
        nodes = graph&.fetch(:steps) || []
        ended = rows.to_h { |row| [row.name, true] }
        shown = live
        nodes.each_with_index.reject { |node, _| ended.key?(node[:name]) }.map do |node, position|
          ready = node.fetch(:after, []).all? { |before| ended.key?(nodes[before][:name]) }
          ready = false if shown&.stopped? && !shown.step(node[:name]) # It was cancelled before it could start.
          Store::Step.new(run: @row.id, position: position, name: node[:name], status: ready ? "running" : "pending", attempts: 0)
        end
      end
    end
  end
end
