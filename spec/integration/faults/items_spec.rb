# frozen_string_literal: true

RSpec.describe "Recorded items", executor: :sequential do
  let(:state) { { broken: true, calls: [] } }

  # Items that remember what was asked of them.
  before do
    stub_const("Row", Class.new do
      def initialize(number) = @number = number
      def double = @double ||= @number * 2
    end)
  end

  def ran
    state[:calls].dup.tap { state[:calls].clear }
  end

  # Goes over four items with a block, and fails at the third one while the state is broken.
  def pipeline(name, rows, **options, &block)
    state = self.state
    Flowline.define(name: name) do |p|
      p.step(:rows, checkpoint: options.fetch(:checkpoint, true)) { rows.call }
      p.step(:map, each: :rows, **options.except(:checkpoint)) do |row|
        state[:calls] << (output = block.call(row))
        raise "down" if state[:broken] && output == 4

        output
      end
    end
  end

  [nil, "items"].each do |name|
    context name ? "in the store" : "in memory" do
      it "are not taken for the items that their source returned in a run without them" do
        numbers = [1, 2]
        p = Flowline.define(name: name) do |d|
          d.step(:rows) { numbers.dup }
          d.step(:map, each: :rows) { |number| state[:broken] && number == 2 ? raise("down") : number * 10 }
        end
        p.run
        numbers[0] = 5
        p.run(only: "rows")
        state[:broken] = false
        expect(p.run(resume: true)[:map].output).to eq([50, 20])
      end

      it "are not taken for other items that look like what their block made of the first ones" do
        numbers = [1]
        p = Flowline.define(name: name) do |d|
          d.step(:rows, checkpoint: false) { [{ n: numbers.first }] }
          d.step(:map, each: :rows) { |row| (row[:n] * 10).tap { row[:n] += 1 } }
          d.step(:last, depends_on: :map) { |outputs| state[:broken] ? raise("down") : outputs }
        end
        p.run
        numbers[0] = 2
        state[:broken] = false
        expect(p.run(resume: true)[:last].output).to eq([20])
      end

      it "are recognised on resume if their block changed the items" do
        p = pipeline(name, -> { Array.new(4) { |n| { n: n } } }) { |row| row[:out] = row.delete(:n).to_i * 2 }
        p.run
        expect(ran).to eq([0, 2, 4])
        state[:broken] = false
        p.run(resume: true)
        expect(ran.size).to eq(2)
      end

      it "are recognised on resume if the items memoised something when they were used" do
        p = pipeline(name, -> { Array.new(4) { |n| Row.new(n) } }, &:double)
        p.run
        expect(ran).to eq([0, 2, 4])
        state[:broken] = false
        expect(p.run(resume: true)[:map].output).to eq([0, 2, 4, 6])
        expect(ran).to eq([4, 6])
      end

      it "are recognised on resume if their first attempt changed the items and the second one succeeded" do
        p = pipeline(name, -> { [[0], [1], [2], [3]] }, retries: 1) do |row|
          row << :tried
          raise "again" if row.size == 2

          row.first * 2
        end
        p.run
        expect(ran).to eq([0, 2, 4])
        state[:broken] = false
        expect(p.run(resume: true)[:map].output).to eq([0, 2, 4, 6])
        expect(ran).to eq([4, 6])
      end

      it "are recognised on resume if their source is a lazy enumerator" do
        p = pipeline(name, -> { Array.new(4) { |n| [n] }.each.lazy.map(&:dup) }) { |row| row.push(:done).first * 2 }
        p.run
        expect(ran).to eq([0, 2, 4])
        state[:broken] = false
        p.run(resume: true)
        expect(ran).to eq([4, 6])
      end

      it "are not recognised on resume if the source returns other items" do
        rows = [[0], [1], [2], [3]]
        p = pipeline(name, -> { rows.map(&:dup) }, checkpoint: false) { |row| row.push(:done).first * 2 }
        p.run
        expect(ran).to eq([0, 2, 4])
        rows[0] = [5]
        state[:broken] = false
        expect(p.run(resume: true)[:map].output).to eq([10, 2, 4, 6])
        expect(ran).to eq([10, 4, 6])
      end
    end
  end

  it "cost one digest an item, and none where nothing is recorded" do
    digested = []
    allow(Flowline::Identity::Digest).to(receive(:try).and_wrap_original { |original, value| digested.push(value) && original.call(value) })
    p = pipeline("items", -> { %w[0 1 2 3] }) { |row| row.to_i * 2 }
    p.run
    expect(digested.grep(String)).to eq(%w[0 1 2])
    digested.clear
    state[:broken] = false
    p.run(resume: true)
    expect(digested.grep(String)).to eq(%w[0 1 2 3])
    digested.clear
    p.run(checkpoint: false)
    expect(digested.grep(String)).to be_empty
  end
end
