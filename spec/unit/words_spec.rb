# frozen_string_literal: true

RSpec.describe Words do
  it "finds none of the avoided words in code and documentation" do
    found = described_class.offences(described_class::CHECKED)
    expect(found).to be_empty, found.join("\n")
  end

  describe ".check" do
    def found(text, file: "lib/a.rb")
      described_class.check(file, text).map { |offence| [offence.line, offence.words] }
    end

    it "finds a word with its line" do
      expect(found("# It is fine.\n# A hook is told of it.\n")).to eq([[2, "told"]])
    end

    it "finds words that a line break of a comment separates" do
      expect(found("  # A step may come to\n  # an end.\n")).to eq([[1, "come to an end"]])
      expect(found("/// A step may come\n/// to an end.\n", file: "ext/a.rs")).to eq([[1, "come to an end"]])
    end

    it "finds a sentence that starts with a pronoun" do
      expect(found("# Stops it. Whoever waits is notified.\n")).to eq([[1, "Whoever"]])
    end

    it "accepts these letters as part of another word" do
      expect(found("besides = recommended, kept_alive, goldmend\n")).to be_empty
    end

    it "ignores output in a page, and checks its commands" do
      page = "```console\n$ echo told\ntold\n```\n\n```output\ntold\n```\n\n```ruby\n1 # told\n```\n"
      expect(found(page, file: "docs/a.md")).to eq([[2, "told"], [12, "told"]])
    end
  end
end
