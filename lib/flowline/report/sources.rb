# frozen_string_literal: true

module Flowline
  class Report
    # Reads {Data} from a result, or from a recorded run.
    # @api private
    module Sources
      class << self
        # @param result [Result]
        # @param dag [DAG, nil] nil: the result came from another process, without its graph
        # @return [Data]
        def result(result, dag)
          context = result.context
          groups = dag ? dag.groups.each_value.to_a : []
          steps = result.steps.each_with_index.map { |step, id| step(step, id, dag, context) }
          Waits.new(steps).apply
          Data.new(pipeline: text(context.pipeline_name), run_id: result.run_id, status: result.status, started_at: context.started_at,
                   duration: result.duration, params: params(context), error: mask(context, result.error&.message), warnings: result.warnings,
                   steps: steps, groups: groups.map { |group| group(group.name, group.parent, groups.map(&:name)) }, runs: [])
        end

        # @param run [History::Run]
        # @param runs [Array<History::Run>] earlier ones of its pipeline, the latest first
        # @param other [History::Run, nil] the one to compare it with
        # @param address [String, nil] of the page of the run
        # @return [Data]
        def recorded(run, runs = [], other = nil, address: nil)
          graph = run.graph || { steps: [], groups: [] }
          names = graph[:groups].map { |group| group[:name] }
          groups = graph[:groups].map { |group| group(group[:name], group[:parent] && names[group[:parent]], names) }
          nodes = placed(run, graph[:steps])
          steps = run.steps.map { |step| recorded_step(step, nodes[step.name] || {}, names, run.started_at) }
          Standing.new(run).apply(steps)
          Waits.new(steps).apply
          about = %i[run_id status started_at duration params trigger resumed error warnings location].to_h { |name| [name, run.public_send(name)] }
          Data.new(**about, pipeline: text(run.pipeline), steps: steps, groups: groups, other: other && recorded(other), address: address,
                            runs: past(runs), changes: ->(name) { other ? run.changes_since(other, name) : [] })
        end

        # @param pipeline [Pipeline, nil] the graph to show; nil: that of the run
        # @param run [History::Run, nil] one that says how the steps have ended
        # @return [Data] a graph with how its steps ended
        def graph(pipeline, run)
          known = run && recorded(run)
          return known unless pipeline

          dag = pipeline.dag
          groups = dag.groups.each_value.to_a
          steps = dag.steps.each_with_index.map { |step, id| declared(step, id, dag, known&.by_name) }
          Data.new(pipeline: text(pipeline.name), params: {}, warnings: [], steps: steps,
                   groups: groups.map { |group| group(group.name, group.parent, groups.map(&:name)) }, runs: [])
        end

        private

        def declared(step, id, dag, known)
          name = text(step.name)
          before = known && known[name]
          Step.new(name: name, label: label(step.name, step.group), group: step.group && dag.groups.keys.index(step.group), status: before&.status,
                   duration: before&.duration, error: before&.error, location: step.location, description: step.description, after: dag.inputs(id),
                   many: step.each, attempts: 0, retries: [])
        end

        def past(runs)
          runs.map { |run| [run.run_id, run.status, run.started_at, run.duration, run.whole?] }
        end

        def text(name)
          name && Name.show(name)
        end

        def mask(context, text)
          text && context.mask(text)
        end

        def params(context)
          known = context.public_params
          context.params.to_h { |name, value| [name, known.key?(name) ? context.mask(Error.text(value.inspect)[0, 200]) : "[secret]"] }
        end

        def group(name, parent, names)
          [text(parent ? name.to_s.delete_prefix("#{parent}.") : name), parent && names.index(parent)]
        end

        def label(name, group)
          text(group ? name.to_s.delete_prefix("#{group}.") : name)
        end

        def step(result, id, dag, context)
          known = dag&.steps&.at(id)
          group = known&.group
          Step.new(name: text(result.name), label: label(result.name, group), group: group && dag.groups.keys.index(group),
                   status: result.status, reason: result.reason, attempts: result.attempts,
                   start: result.started_at&.-(context.started_at), duration: result.duration,
                   error: mask(context, result.error&.message), location: known&.location, description: known&.description,
                   after: known && dag.inputs(id), many: known&.each, retries: [], uses: uses(known), rate: known&.options&.[](:rate),
                   optional: known&.optional?)
        end

        def uses(known)
          given = known&.options&.[](:uses)
          (given.is_a?(Hash) ? given.keys : Array(given)).map(&:to_s)
        end

        # Returns the steps of the graph by name, with the positions of their dependencies among the steps of the run: a row of history
        # that is damaged is left out, and the steps after it move up.
        def placed(run, nodes)
          at = run.steps.each_with_index.to_h { |step, position| [step.name, position] }
          return nodes.to_h { |node| [node[:name].to_sym, node] } if at.size == nodes.size

          nodes.to_h do |node|
            [node[:name].to_sym, { **node, after: node.fetch(:after, []).filter_map { |before| at[nodes[before][:name].to_sym] } }]
          end
        end

        # @param node [Hash] the step in the graph; empty if that is not known
        def recorded_step(step, node, names, began)
          group = node[:group] && names[node[:group]]
          Step.new(name: text(step.name), label: label(step.name, group), group: group && names.index(group), status: step.status,
                   reason: step.reason, attempts: step.attempts, start: step.started_at&.-(began), duration: step.duration,
                   error: step.error, after: (node[:after] || [] unless node.empty?), many: node[:each],
                   retries: step.retries.reject { |again| again[:item] }.map { |again| again.values_at(:ended, :wait, :error) },
                   items: items(step), output: step.preview, uses: pools(node), why: step.grounds[:plan],
                   optional: node.key?(:optional), **node.slice(:location, :description, :rate))
        end

        # @return [Array<String>] the names of the pools that a step uses
        def pools(node)
          Array(node[:uses]).map { |text| text[/\A(.*?)(?:: \d+)?\z/m, 1] }
        end

        def items(step)
          counts = step.items or return
          facts = %i[done restored failed].filter_map { |name| "#{counts[name]} #{name}" if counts[name].to_i.positive? }
          failed = step.failed_items.map { |item| "\n  item #{item[:item]} (#{item[:label]}): #{item[:error]}" }
          [*facts, *("of #{counts.total}" if counts.total)].join(", ") + failed.join
        end
      end
    end
  end
end
