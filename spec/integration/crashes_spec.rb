# frozen_string_literal: true

RSpec.describe "A run whose process ends at any moment" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:pipeline) { chain }

  # Three steps that write down when they start.
  def chain(**settings)
    log = "#{root}.log"
    Flowline.define(name: "crash", **settings) do |p|
      p.step(:a) { |_| File.write(log, "a", mode: "a") && nil }
      p.step(:b, depends_on: :a) { |_| File.write(log, "b", mode: "a") && false }
      p.step(:c, depends_on: :b) { |b| File.write(log, "c", mode: "a") && [b] }
    end
  end

  def log
    File.exist?("#{root}.log") ? File.read("#{root}.log") : ""
  end

  # Runs the block in a child; it is killed before, or right after, it asks the store for the n-th time.
  def killed(number, moment)
    pid = fork do
      Flowline::Store::SQLite.prepend(Module.new do
        %i[lock begin_run claim record finish_run latest records].each do |name|
          define_method(name) do |*arguments, **options|
            number -= 1
            Process.kill(:KILL, Process.pid) && sleep if number.negative? && moment == :before
            answer = super(*arguments, **options)
            Process.kill(:KILL, Process.pid) && sleep if number.negative?
            answer
          end
        end
      end)
      yield
      exit!(0)
    end
    Process.wait2(pid).last.signaled?
  end

  %i[before after].each do |moment|
    %i[process power].each do |durability|
      it "#{moment} any of its requests to the store (#{durability}), loses no step whose dependent has started" do
        crashed = (0..30).take_while do |number|
          FileUtils.rm_rf([root, "#{root}.log"])
          next unless killed(number, moment) { pipeline.run(durability: durability) }

          done = log[0...-1]
          last = Flowline::Store.existing(root)&.runs("crash", 1)&.first
          expect(last[:status]).to eq("crashed").or(eq("succeeded")) if last
          result = pipeline.run(resume: true)
          expect(result.outputs).to eq(a: nil, b: false, c: [false])
          restarted = last && last[:status] == "succeeded"
          done.each_char { |step| expect(log.count(step)).to eq(1), "#{step} was run again, at #{number}" } unless restarted
          true
        end
        expect(crashed.size).to be > 4
      end
    end
  end

  it "leaves nothing locked and no step running, also while it resumes", executor: :in_process do
    state = { broken: true }
    pipeline = Flowline.define(name: "twice") do |p|
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) do |a|
        Process.kill(:KILL, Process.pid) && sleep if state[:broken] == :kill
        state[:broken] ? raise("x") : a
      end
    end
    pipeline.run
    state[:broken] = :kill
    expect(Process.wait2(fork { pipeline.run(resume: true) }).last.termsig).to eq(9)
    expect(Flowline::Store.at(root).runs("twice", 5).map { |run| run[:status] }).to eq(%w[crashed failed])
    state[:broken] = false
    expect(outcomes(pipeline.run(resume: true))).to eq(a: :restored, b: :succeeded)
    expect(Flowline::Store.at(root).runs("twice", 5).map { |run| run[:status] }).to eq(%w[succeeded crashed failed])
  end

  describe "after a step has forked" do
    it "is neither ended nor recorded by a child that exits in the step" do
      told, teller = IO.pipe
      pipeline = Flowline.define(name: "forks") do |p|
        p.after_run { teller.puts("after_run in #{Process.pid}") }
        p.step(:a) { 1 }
        p.step(:b, depends_on: :a) do |a|
          pid = fork
          exit(3) unless pid
          a + Process.wait2(pid).last.exitstatus
        end
        p.step(:always, depends_on: :b, run_if: :always) { |_| teller.syswrite("always\n") }
      end
      owner = fork do
        result = pipeline.run
        exit!(result.success? && result[:b].output == 4 ? 0 : 1)
      end
      expect(Process.wait2(owner).last.exitstatus).to eq(0)
      teller.close
      expect(told.read.lines(chomp: true)).to eq(["always", "after_run in #{owner}"])
      run = Flowline::Store.at(root).runs("forks", 1).first
      expect(run[:status]).to eq("succeeded")
      expect(Flowline::Store.at(root).steps(run[:id]).map { |step| step[:status] }).to eq(%w[succeeded succeeded succeeded])
    end

    it "continues while the child runs other pipelines" do
      inner = Flowline.define(name: "inner") { |p| p.step(:a) { 1 } }
      outer = Flowline.define(name: "outer") do |p|
        p.step(:a) { Process.wait2(fork { exit!(inner.run.success? ? 0 : 1) }).last.exitstatus }
      end
      expect(outer.run![:a].output).to eq(0)
      expect(Flowline::Store.at(root).runs(nil, 5).map { |run| [run.pipeline, run.status] }).to contain_exactly(%w[inner succeeded], %w[outer succeeded])
    end
  end
end
