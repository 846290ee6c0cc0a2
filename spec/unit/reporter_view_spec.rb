# frozen_string_literal: true

RSpec.describe "Flowline::Reporter::View" do
  let(:view) { Flowline::Reporter::View }

  def row(name = :fetch, **facts)
    view::Row.new(name: name, depth: 0, elapsed: 12.44, attempt: 1, attempts: 1, **facts)
  end

  def state(rows, **facts)
    view::State.new(total: 37, ended: 12, failed: 0, elapsed: 62, left: nil, rows: rows, waits: {}, **facts)
  end

  def drawn(rows, columns: 80, lines: 24, **facts)
    view.new(columns, lines).rows(state(rows, **facts))
  end

  it "has a row for each running step and a summary" do
    expect(drawn([row, row(:clean, depth: 1, elapsed: 125)])).to eq([
                                                                      "⠋ fetch            12.4s",
                                                                      "⠋   clean          2m 05s",
                                                                      "━━━━━━━━━╸──────────────────── 12/37 steps  1m 02s"
                                                                    ])
  end

  it "says what a step waits for, which attempt it is, and why the last one failed" do
    rows = drawn([row(:a, attempt: 2, attempts: 4, waits_for: "retry", waits: 2.2, note: "IOError: connection reset"),
                  row(:b, waits_for: "pool db"), row(:c, waits_for: "rate")], columns: 90)
    expect(rows[0]).to eq("  a                12.4s   attempt 2 of 4, retry in 3s  IOError: connection reset")
    expect(rows[1]).to eq("  b                12.4s   waits for pool db")
    expect(rows[2]).to eq("  c                12.4s   waits for rate")
  end

  it "draws a map as one row: count, bar, failures, rate, time left, restored items, the slowest item" do
    items = view::Items.new(total: 240, done: 112, failed: 2, restored: 7, rate: 3.14, slowest: "item 12 (\"x\")")
    expect(drawn([row(:pages, items: items)], columns: 130).first)
      .to eq("⠋ pages            12.4s   114/240  ━━━━━━━╸────────  2 failed  3.1/s  about 41s left  7 restored  slowest: item 12 (\"x\")")
    expect(drawn([row(:pages, items: view::Items.new(done: 5, failed: 0, restored: 0))]).first).to eq("⠋ pages            12.4s   5 items")
  end

  it "clips to the lines there are, the oldest steps first, and counts the others" do
    rows = drawn(Array.new(40) { |n| row(:"s#{n}") }, lines: 9, waits: { "pool db" => 110, "rate" => 10 })
    expect(rows.size).to eq(6)
    expect(rows.first(4).map { |line| line[/s\d+/] }).to eq(%w[s0 s1 s2 s3])
    expect(rows[4]).to eq("  … 36 more running, 120 waiting (pool db: 110, rate: 10)")
    expect(drawn([row, row], lines: 1)).to match([%r{12/37}])
  end

  it "leaves out whole facts in a narrow terminal, the least useful first, and cuts no name for which there is room" do
    rows = drawn([row(:a_long_name_of_a_step)], columns: 40, left: 130, cancelling: true)
    expect(rows.last).to eq("12/37 steps  about 2m left  stopping")
    expect(drawn([], columns: 40, left: 130).last).to eq("12/37 steps  1m 02s  about 2m left")
    expect(drawn([], columns: 30, left: 130, failed: 2, cancelling: true).last).to eq("12/37 steps  stopping")
    expect(view.new(40, 24, width: 21).rows(state([row(:a_long_name_of_a_step)])).first).to eq("⠋ a_long_name_of_a_step   12.4s")
  end

  it "says in a narrow terminal how many items a resumed run tries" do
    events = []
    Flowline.define(name: "bulk") do
      step(:list) { (1..9).to_a }
      step(:each, each: :list, on_item_error: :continue) { |n| n > 2 ? raise("a long message of item #{n}") : n }
    end.run(reporter: ->(event) { events << event })
    rows = Flowline::Reporter::Failure.new(events.find { |event| event.name == :run_finished }, columns: 40).rows
    expect(rows.join(" ").squeeze(" ")).to include("2 of 9 items are recorded; resume tries 7")
    expect(rows.map { |line| Flowline::Text.width(line) }.max).to be <= 40
  end

  it "is never as wide as the terminal nor higher than two thirds of it" do
    long = "名前" * 40
    items = view::Items.new(total: 10**9, done: 5 * (10**8), failed: 12, restored: 3, rate: 1234.5, slowest: long)
    rows = [row(long.to_sym, attempt: 3, attempts: 9, waits_for: "pool #{long}"), row(:"\e[2J", items: items), row(:x, note: "\e]0;title\a #{long}")] * 10
    [1, 5, 10, 20, 40, 41, 79, 80, 200].product([1, 2, 5, 10, 24, 60]).each do |columns, lines|
      drawn = drawn(rows, columns: columns, lines: lines, left: 4000, failed: 3, cancelling: true, partial: long, waits: { long => 5 })
      expect(drawn.map { |line| Flowline::Text.width(line) }.max).to be <= [columns - 1, 1].max
      expect(drawn.size).to be <= [lines * 2 / 3, 2].max
      expect(drawn.join).not_to match(/[\e\a\n]/)
    end
  end

  it "says how much time is left, that the run stops, and how many steps failed" do
    expect(drawn([], left: 130, failed: 2, cancelling: true).last).to end_with("12/37 steps  1m 02s  about 2m left  2 failed  stopping")
  end

  it "is written in ASCII for terminals without more" do
    rows = view.new(80, 24, unicode: false).rows(state([row, row], waits: { "rate" => 1 }), 1)
    expect(rows).to eq(["/ fetch            12.4s", "/ fetch            12.4s", "  ... 1 waiting (rate)", "=========-.................... 12/37 steps  1m 02s"])
  end
end
