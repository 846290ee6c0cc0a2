# frozen_string_literal: true

RSpec.describe "The outcomes of a run" do
  no = ->(_) { false }

  describe "order", executor: :sequential do
    def order(**options, &definition)
      called = []
      pipeline = Flowline.define(&definition)
      pipeline.run(reporter: ->(event) { called << event.step.name if event.name == :step_started }, **options)
      called
    end

    it "starts the longest remaining path first, then follows definition order" do
      expect(order do
        step(:short) { 1 }
        step(:short_too) { 1 }
        step(:long) { 1 }
        step(:longer, depends_on: :long) { 1 }
        step(:longest, depends_on: :longer) { 1 }
        step(:middle) { 1 }
        step(:end, depends_on: :middle) { 1 }
      end).to eq(%i[long longer middle short short_too longest end])
    end

    it "does not run steps in waves" do
      expect(order do
        step(:a1) { 1 }
        step(:b1) { 1 }
        step(:a2, depends_on: :a1) { 1 }
        step(:a3, depends_on: :a2) { 1 }
        step(:a4, depends_on: :a3) { 1 }
      end).to eq(%i[a1 a2 a3 b1 a4])
    end

    it "accepts dependencies defined in any order" do
      expect(order do
        step(:last, depends_on: :first) { 1 }
        step(:first) { 1 }
      end).to eq(%i[first last])
    end

    it "starts a step once, however often it names a dependency" do
      expect(order do
        step(:a) { 1 }
        step(:b, when: no) { 1 }
        step(:c, optional: true) { raise "c" }
        step(:d, depends_on: [:a, :b, :c, "a"], run_if: :any) { 1 }
        step(:e, depends_on: %i[a b c d], run_if: :always) { 1 }
      end.tally).to eq(a: 1, c: 1, d: 1, e: 1)
    end
  end

  describe "run_if:" do
    # A skipped, a failed and a succeeded dependency, in all mixtures.
    dependencies = { ok: :ok, skip: :skip, bad: :bad }
    table = {
      [] => %i[succeeded succeeded succeeded],
      %i[ok] => %i[succeeded succeeded succeeded],
      %i[skip] => [%i[skipped upstream_skipped], %i[skipped upstream_skipped], :succeeded],
      %i[bad] => [%i[cancelled upstream_failed], %i[cancelled upstream_failed], :succeeded],
      %i[ok skip] => [%i[skipped upstream_skipped], :succeeded, :succeeded],
      %i[ok bad] => [%i[cancelled upstream_failed], :succeeded, :succeeded],
      %i[skip bad] => [%i[cancelled upstream_failed], %i[cancelled upstream_failed], :succeeded],
      %i[ok skip bad] => [%i[cancelled upstream_failed], :succeeded, :succeeded]
    }
    table.each do |upstream, expected|
      it "depends on the outcomes upstream: #{upstream.empty? ? "none" : upstream.join(", ")}" do
        result = run(on_error: :continue) do
          step(dependencies[:ok]) { 1 }
          step(:skip, when: no) { 1 }
          step(:bad) { raise "bad" }
          %i[success any always].each { |rule| step(rule, depends_on: upstream, run_if: rule) { 1 } }
          step(:default, depends_on: upstream) { 1 }
        end
        expect(outcomes(result).values_at(:success, :any, :always)).to eq(expected)
        expect(outcomes(result)[:default]).to eq(expected.first)
      end
    end

    it "passes nil for a dependency without an output" do
      result = run do
        step(:a) { 1 }
        step(:b, when: no) { 2 }
        step(:any, depends_on: %i[a b], run_if: :any) { |b:, a:| [a, b] }
        step(:hash, depends_on: %i[a b], run_if: :any) { |all| all }
        step(:always, depends_on: :b, run_if: :always) { |b| [b] }
      end
      expect(result.outputs).to eq(a: 1, any: [1, nil], hash: { a: 1, b: nil }, always: [nil])
    end

    it "runs :always steps after any failure, and no others once the run stops" do
      result = run do
        step(:ok) { 1 }
        step(:bad, depends_on: :ok) { raise "bad" }
        step(:any, depends_on: %i[ok bad], run_if: :any) { 1 }
        step(:always, depends_on: :any, run_if: :always) { 1 }
        step(:more, depends_on: :always) { 1 }
        step(:always_more, depends_on: :more, run_if: :always) { 1 }
      end
      expect(outcomes(result)).to eq(ok: :succeeded, bad: :failed, any: %i[cancelled run_failed], always: :succeeded,
                                     more: %i[cancelled run_failed], always_more: :succeeded)
      expect(result).to be_failed
    end

    it "does not run an :always step whose condition is false" do
      result = run { step(:a, run_if: :always, when: no) { raise "must not be called" } }
      expect(outcomes(result)).to eq(a: %i[skipped condition])
    end
  end

  describe "skips" do
    it "cascade to dependents while the run succeeds" do
      result = run do
        step(:a, when: no) { 1 }
        step(:b, depends_on: :a) { 1 }
        step(:c, depends_on: :b) { 1 }
      end
      expect(outcomes(result)).to eq(a: %i[skipped condition], b: %i[skipped upstream_skipped], c: %i[skipped upstream_skipped])
      expect(result).to have_attributes(status: :succeeded, outputs: {}, error: nil)
    end

    it "are decided by when: and unless: together, which may take outputs" do
      result = run(context: { go: true }) do
        step(:n) { 4 }
        { yes: 3, no: 5 }.each { |name, least| step(name, depends_on: :n, when: ->(ctx, n) { ctx[:go] && n > least }) { |n| n } }
        step(:both, depends_on: :n, when: ->(ctx) { ctx[:go] }, unless: ->(ctx) { ctx[:go] }) { |n| n }
        step(:truthy, when: ->(ctx) { ctx[:run_id] || 0 }) { 1 }
        step(:nil, when: ->(ctx) { ctx[:nothing] }) { 1 }
      end
      expect(result.outputs).to eq(n: 4, yes: 4, truthy: 1)
    end
  end

  describe "failures" do
    it "cancel steps that have not started, by default", executor: :sequential do
      result = run do
        step(:bad) { raise "bad" }
        step(:rest) { 1 }
        step(:after, depends_on: :bad) { 1 }
        step(:skip, when: no) { 1 }
      end
      expect(outcomes(result)).to eq(bad: :failed, rest: %i[cancelled run_failed], after: %i[cancelled run_failed], skip: %i[cancelled run_failed])
    end

    it "do not stop independent steps with on_error: :continue" do
      definition = proc do
        step(:bad) { raise "first" }
        step(:worse) { raise "second" }
        step(:rest) { 1 }
        step(:after, depends_on: :bad) { |_| 1 }
      end
      [run(on_error: :continue, &definition), run(define: { on_error: :continue }, &definition)].each do |result|
        expect(outcomes(result)).to eq(bad: :failed, worse: :failed, rest: :succeeded, after: %i[cancelled upstream_failed])
        expect(result).to have_attributes(status: :failed, failed_steps: contain_exactly(:bad, :worse), failed_step: result.failed_steps.first,
                                          error: result[result.failed_step].error)
      end
      stopped = run(define: { on_error: :continue }, on_error: :stop, &definition)
      expect(outcomes(stopped)[:after]).to eq(%i[cancelled run_failed])
    end

    it "of optional steps cause warnings, and skip dependents" do
      result = run do
        step(:may, optional: true) { raise "no luck" }
        step(:needs, depends_on: :may) { 1 }
        step(:any, depends_on: %i[may ok], run_if: :any) { |may, ok| [may, ok] }
        step(:ok) { 1 }
      end
      expect(outcomes(result)).to eq(may: :failed, needs: %i[skipped upstream_skipped], any: :succeeded, ok: :succeeded)
      expect(result).to have_attributes(status: :succeeded, error: nil, failed_step: nil, failed_steps: [])
      expect(result[:may].error.message).to include("no luck")
      expect(result.warnings).to contain_exactly(a_string_including("optional", "may", "no luck"))
    end

    it "in clean-up steps fail the run, and other clean-up steps still run" do
      result = run do
        step(:bad) { raise "bad" }
        step(:clean, depends_on: :bad, run_if: :always) { raise "clean" }
        step(:more, depends_on: :clean, run_if: :always) { 1 }
      end
      expect(outcomes(result)).to eq(bad: :failed, clean: :failed, more: :succeeded)
      expect(result.failed_steps).to eq(%i[bad clean])
    end

    it "fail the run when only a clean-up step failed" do
      expect(run { step(:clean, run_if: :always) { raise "x" } }).to have_attributes(status: :failed, failed_step: :clean)
    end
  end
end
