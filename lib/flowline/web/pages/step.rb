# frozen_string_literal: true

module Flowline
  class Web
    module Pages
      # A step of a run: its error and its log first, then why it was called or was not, its inputs and its output, and how it ended in
      # other runs.
      # @api private
      class Step < Page
        # Bytes of the log that are shown, unless the address says how many; and the most.
        LOG = 8_000
        MOST = 1_000_000
        # Earlier runs, and failed items.
        RUNS = 15
        # Characters of a message.
        MESSAGE = 4_000
        WHY = { called: "Why it was called", running: "Why it is running", waiting: "Why it is waiting", pending: "Why it has not started" }.freeze
        HEADS = %w[Run Status Started Took Attempts].freeze
        private_constant :LOG, :MOST, :RUNS, :MESSAGE, :WHY, :HEADS

        # (see Page#title)
        def title
          "#{caption(step.name)} of #{caption(run.pipeline)}"
        end

        # (see Page#body)
        def body
          [way, tag(:h1, text(caption(step.name))), head, failure, log, why, attempts, items, inputs, output, others].compact.join("\n")
        end

        private

        def run
          @run ||= view.run(@ids.first)
        end

        def step
          @step ||= run.step(@ids.last) || raise(Refusal.new(404, "Run #{run.run_id} has no step #{caption(@ids.last)}."))
        end

        # The declaration, as history has it.
        def node
          @node ||= nodes.find { |known| known[:name] == step.name.name } || {}
        end

        def nodes
          @nodes ||= run.graph&.fetch(:steps) || []
        end

        # Where it stands, if it has not ended.
        def standing
          @standing ||= [(run.live&.step(step.name) if step.duration.nil?)]
          @standing.first
        end

        def way
          links = [link(view.url("pipelines", run.pipeline), caption(run.pipeline)), link(view.url("runs", run.run_id), "run #{run.run_id}")]
          tag(:p, links.join(" › "), class: "way")
        end

        def head
          wait = "for #{text(standing.wait)}" if standing&.wait
          [tag(:p, [tag(:b, state(status_now), class: "large"), wait].compact.join(" ")), tag(:p, facts.compact.join(" · "), class: "quiet"),
           (tag(:p, text(short(node[:description], 2_000))) if node[:description])].compact.join("\n")
        end

        def status_now
          standing && !standing.running? ? :waiting : step.status
        end

        def facts
          calls = "#{step.attempts} #{step.attempts == 1 ? "attempt" : "attempts"}" if step.attempts.positive?
          [(moment(step.started_at) if step.started_at), (seconds(step.duration) if step.duration), calls,
           ("not ended when the process of the run did" if run.status == :crashed && step.duration.nil?),
           ("each item of #{source}" if node[:each]), (code(node[:location]) if node[:location])]
        end

        # The step whose items it is called for. A nested pipeline is no step.
        def source
          nodes.any? { |known| known[:name] == node[:each] } ? step_link(node[:each]) : text(caption(node[:each]))
        end

        def failure
          return unless step.error

          section(step.status == :timed_out ? "It timed out" : "It failed", message(step.error), class: "failures")
        end

        def message(words)
          tag(:pre, text(short(words, MESSAGE)), tabindex: 0)
        end

        # The end of the log.
        def log
          lines = run.logs(step.name)
          return if lines.empty?

          shown = tail(lines)
          more = lines.size - shown.size
          rest = tag(:p, more_of_log(more), class: "quiet") if more.positive?
          section("Log", rest, Lines.new(shown, steps: false).list("The last lines of the log"))
        end

        def tail(lines)
          left = bytes
          lines.reverse_each.take_while { |line| (left -= line.text.bytesize + 20) >= 0 }.reverse
        end

        def bytes
          asked = view.request.query["log"].to_s[/\A\d{1,9}\z/]
          asked ? asked.to_i.clamp(1_000, MOST) : LOG
        end

        def more_of_log(count)
          address = view.url("runs", run.run_id, "steps", step.name, log: [bytes * 8, MOST].min)
          further = " #{link(address, "Show more")}" if bytes < MOST
          "#{count} earlier #{count == 1 ? "line" : "lines"}.#{further}"
        end

        def why
          why = step.why
          changes = why.changes.map { |change| text(caption(change.to_s, 400)) }
          since = tag(:p, "Since #{link(view.url("runs", why.since), "run #{why.since}")}:") if changes.any? && why.since
          reason = tag(:p, text("Because #{caption(why.reason, 600)}."))
          title = WHY.fetch(status_now == :waiting ? :waiting : why.decision, "Why it was not called")
          section(title, reason, since, (list(changes) if changes.any?))
        end

        def attempts
          return if step.retries.empty?

          items = step.retries.map do |again|
            of = " of item #{again[:item]}" if again[:item]
            "Attempt #{again[:number]}#{of} ended after #{seconds(again[:ended])} of the run: #{text(caption(again[:error], 400))}. " \
              "The next one came #{seconds(again[:wait])} later."
          end
          section("Attempts that failed", list(items))
        end

        def items
          counts = step.items || standing&.items or return
          facts = %i[done restored failed recorded].filter_map { |name| "#{counts[name]} #{name}" if counts[name].to_i.positive? }
          facts << "of #{counts.total}" if counts.total
          failed = step.failed_items.map { |item| text("Item #{item[:item]} (#{caption(item[:label])}): #{caption(item[:error], 400)}") }
          section("Items", tag(:p, text(facts.join(", "))), (list(failed) if failed.any?))
        end

        def inputs
          before = (node[:after] || []).filter_map { |position| nodes[position] && run.step(nodes[position][:name]) }
          return if before.empty?

          rows = before.first(RUNS).map { |input| line(step_link(input.name), state(input.status), [preview(input)]) }
          rest = tag(:p, "#{before.size - RUNS} more", class: "quiet") if before.size > RUNS
          section("Inputs", table("Inputs", %w[Step Status Output], rows, class: "runs"), rest)
        end

        def output
          section("Output", tag(:p, preview(step))) if step.output
        end

        def preview(step)
          step.output ? code(caption(step.preview, 1_000)) : tag(:span, "no output is known", class: "quiet")
        end

        def step_link(name)
          link(view.url("runs", run.run_id, "steps", name), caption(name))
        end

        # How the step ended in other runs.
        def others
          grid = view.history.grid(run.pipeline, last: RUNS, names: [step.name])
          known = grid.runs.filter_map { |other| [other, grid[other, step.name]] if grid[other, step.name] }
          return if known.size < 2

          bars = known.reverse.map { |other, same| Bar.new(other.run_id, same.status, other.started_at, same.duration) }
          rows = known.map { |other, same| row(other, same) }
          chart = Report::Bars.new(bars, height: 48, here: run.run_id).to_s
          section("In the last runs", chart, table("In the last runs", HEADS, rows, class: "runs"),
                  tag(:p, link(view.url("pipelines", run.pipeline, "grid"), "All steps of the last runs")))
        end

        Bar = Struct.new(:run_id, :status, :started_at, :duration)
        private_constant :Bar

        def row(other, same)
          here = other.run_id == run.run_id
          name = here ? "this run" : link(view.url("runs", other.run_id, "steps", step.name), other.run_id)
          calls = same.attempts if same.attempts.positive?
          line(name, state(same.status), moment(other.started_at), seconds(same.duration), calls, class: ("here" if here))
        end
      end
    end
  end
end
