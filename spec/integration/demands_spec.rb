# frozen_string_literal: true

RSpec.describe "Demands for more attempts at a time than a run can give", executor: :in_process do
  def warnings(executor: :parallel, run: {}, **options, &block)
    Flowline.define do |p|
      block&.call(p)
      p.step(:rows) { [1, 2] }
      p.step(:map, each: :rows, **options) { |n| n }
    end.run(executor: executor, **run).warnings
  end

  it "warns once when concurrency: is more than the executor runs, with numbers and the way out" do
    expect(warnings(concurrency: 50, run: { max_threads: 4 }))
      .to eq(["the executor runs 4 at a time, less than concurrency: 50 of step map; raise max_threads: to 50"])
    expect(warnings(executor: :process, concurrency: 7, run: { max_processes: 2 }))
      .to eq(["the executor runs 2 at a time, less than concurrency: 7 of step map; raise max_processes: to 7"])
    expect(warnings(executor: :sequential, concurrency: 8))
      .to eq(["the executor runs 1 at a time, less than concurrency: 8 of step map; use executor: :parallel, max_threads: 8"])
    pool = Class.new(Flowline::Executor::Pool) { def submit(attempt) = attempt.call }
    executor = Class.new { define_method(:open_pool) { |inbox, _| pool.new(inbox) } }.new
    expect(warnings(executor: executor, concurrency: 8)).to contain_exactly(end_with("use an executor that runs 8 at a time"))
  end

  it "warns of a number that the executor does not take, unless the numbers of both executors are given" do
    expect(warnings(executor: :sequential, run: { max_threads: 4 }))
      .to eq(["max_threads: 4 has no effect: it is for executor: :parallel, and this run has :sequential"])
    expect(warnings(executor: :parallel, run: { max_processes: 4 }))
      .to eq(["max_processes: 4 has no effect: it is for executor: :process, and this run has :parallel"])
    expect(warnings(executor: :sequential, run: { max_threads: 4, max_processes: 4 })).to eq([])
    expect(warnings(executor: :parallel, run: { max_threads: 4 })).to eq([])
  end

  it "warns when a pool is larger than several workers can use, by what steps take of it" do
    use = ->(p) { p.pool(:db, 40) }
    expect(warnings(uses: :db, run: { max_threads: 4 }, &use)).to eq(["the executor runs 4 at a time, less than pool db for 40 at a time; raise max_threads: to 40"])
    expect(warnings(uses: { db: 10 }, run: { max_threads: 4 }, &use)).to eq([])
    expect(warnings(executor: :sequential, uses: :db, &use)).to eq([])
  end

  it "warns when concurrency: is more than the step's pool allows" do
    expect(warnings(concurrency: 4, uses: { db: 2 }, run: { max_threads: 4 }) { |p| p.pool(:db, 4) })
      .to eq(["step map has concurrency: 4, but pool db lets 2 of it run at a time; enlarge the pool"])
  end

  it "names three of many in one warning" do
    warnings = Flowline.define do |p|
      p.step(:rows) { [1] }
      9.times { |n| p.step(:"map_#{n}", each: :rows, concurrency: 10 + n) { |row| row } }
    end.run(executor: :parallel, max_threads: 2).warnings
    expect(warnings).to eq(["the executor runs 2 at a time, less than concurrency: 10 of step map_0, concurrency: 11 of step map_1, concurrency: 12 of step map_2, 6 more; " \
                            "raise max_threads: to 18"])
  end

  it "says nothing when the executor gives enough" do
    expect(warnings(concurrency: 4, run: { max_threads: 4 })).to eq([])
    expect(warnings(concurrency: 1, executor: :sequential)).to eq([])
  end
end
