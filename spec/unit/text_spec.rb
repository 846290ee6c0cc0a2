# frozen_string_literal: true

RSpec.describe "Flowline::Text" do
  let(:text) { Flowline::Text }

  it "shows control characters and marks of direction instead of passing them on" do
    expect(text.line("soft\u00ADhyphen \u3164")).to eq('soft\u00ADhyphen \u3164')
    expect(text.line("a\e[31mb\a\r\n\u009b1m\u2028\u202e\u2066x")).to eq('a\e[31mb\a\r\n\u009B1m\u2028\u202E\u2066x')
    expect(text.plain("a\e\r\n\tb\n")).to eq("a\\e\n    b\n")
    expect(text.lines("a\n\n  \n\tb\r\n")).to eq(["a", "    b"])
  end

  it "measures wide and combining characters in columns" do
    expect(["abc", "日本", "e\u0301", "🚀"].map { |word| text.width(word) }).to eq([3, 4, 1, 2])
  end

  it "cuts with an ellipsis to at most the columns there are" do
    expect([text.cut("fetch", 5), text.cut("fetch", 4), text.cut("日本語", 4), text.cut("abc", 0)]).to eq(["fetch", "fet…", "日…", ""])
    expect([text.fit("ab", 4), text.fit("日本語", 4)]).to eq(["ab  ", "日… "])
  end

  it "wraps between words, and within words that are longer than a line" do
    expect(text.wrap("one two three", 7)).to eq(["one two", "three"])
    expect(text.wrap("a 日本語日本語", 5)).to eq(%w[a 日本 語日 本語])
    1.upto(30) do |columns|
      rows = text.wrap("some words, /a/very/long/path/without/any/space and 名前 more", columns)
      expect(rows.map { |row| text.width(row) }.max).to be <= [columns, 2].max
      expect(rows.join.delete(" ")).to eq("somewords,/a/very/long/path/without/any/spaceand名前more")
    end
  end

  it "marks that rows are missing" do
    expect(text.limit(%w[a b c], 2, 9)).to eq(["a", "b …"])
    expect(text.limit(%w[a bcdefg c], 2, 5)).to eq(["a", "bc… …"])
    expect(text.limit(%w[a b], 2, 9)).to eq(%w[a b])
  end
end
