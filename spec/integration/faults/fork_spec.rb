# frozen_string_literal: true

RSpec.describe "A process that used the store, forks and ends" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let!(:came) { IO.pipe }
  let!(:goes) { IO.pipe }

  # Records a step after the other. In the middle it waits for a byte.
  def heir(came, goes)
    Flowline.define(name: "heir", keep_checkpoint: true) do |p|
      30.times do |n|
        p.step(:"s#{n}", depends_on: n.zero? ? [] : :"s#{n - 1}") do |*|
          came.syswrite(".") && goes.sysread(1) if n == 15
          n.to_s * (n == 5 ? 300_000 : 10)
        end
      end
    end
  end

  def short(name)
    Flowline.define(name: name) { |p| p.step(:a) { 1 } }
  end

  # The block is called in a child of a process that has used the store and is gone.
  def orphan(way)
    child do
      raise "the first run fails" unless short("parent").run.success?

      way == :fork ? fork && exit!(0) : Process.daemon(true, true)
      came[1].puts(Process.pid)
      yield
    end
  end

  def status
    flowline("status", "--root", root)[1]
  end

  %i[fork daemon].each do |way|
    [false, true].each do |busy|
      it "loses no record of its child (#{way})#{" while another process writes" if busy}, whoever looks at the store" do
        orphan = orphan(way) { heir(came[1], goes[0]).run.status }
        adopt(Integer(came[0].gets)) && came[0].read(1)
        writer = child { Array.new(20) { short("writer").run.status }.uniq } if busy
        expect(Array.new(3) { status }).to all(match(/^heir +running /).and(match(/s14 +succeeded/)))
        expect(sql("SELECT count(*) FROM records")).to eq([[15]])
        goes[1].syswrite(".")
        looks = []
        looks << status until orphan.ended?
        expect([orphan.value, writer&.value]).to eq([:succeeded, busy ? [:succeeded] : nil])
        expect(Flowline::Checkpoint.latest("heir").step_names).to match_array(Array.new(30) { |n| :"s#{n}" })
        expect(Flowline::Checkpoint.latest("heir").output(:s5)).to eq("5" * 300_000)
        expect(looks).to all(match(/^heir +(running|succeeded) /))
        expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
      end
    end

    it "loses no acknowledged record of its child (#{way}) that is killed" do
      orphan = orphan(way) { heir(came[1], goes[0]).run.status }
      pid = adopt(Integer(came[0].gets))
      came[0].read(1)
      status
      Process.kill(:KILL, pid)
      eventually { orphan.ended? }
      expect(status).to match(/^heir +crashed /)
      expect(Flowline::Checkpoint.latest("heir").step_names).to match_array(Array.new(15) { |n| :"s#{n}" })
      expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
    end
  end

  it "leaves its child's run alone when it ends after the fork" do
    parent = child do
      short("parent").run
      pid = fork { heir(came[1], goes[0]).run && exit!(0) }
      came[0].read(1)
      short("parent").run # Closes the database that the child has a copy of, and opens it again.
      GC.start
      pid
    end
    adopt(parent.value)
    expect(status).to match(/^heir +running /)
    goes[1].syswrite(".")
    eventually { status.match?(/^heir +succeeded /) }
    expect(sql("PRAGMA integrity_check")).to eq([["ok"]])
  end
end
