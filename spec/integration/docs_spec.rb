# frozen_string_literal: true

require_relative "../support/docs/pages"

RSpec.describe "documentation" do
  (Docs::PAGES - [Docs::RAILS]).each do |page|
    describe page do
      it "shows code and output that are true", executor: :sequential do
        missing = Docs.missing(page)
        skip "needs #{missing.join(" and ")}" if missing.any? && !ENV["CI"]

        problems = Docs.problems(page)
        expect(problems).to be_empty, problems.join("\n\n")
      end
    end
  end

  it "maps files that exist" do
    page = File.read(File.join(Docs::ROOT, "docs/architecture.md"), encoding: "UTF-8")
    paths = page.scan(%r{`((?:lib|ext|exe|bin|spec|docs|examples|sig|benchmarks)/[\w./{},*-]*)`}).flatten
    expect(paths).not_to be_empty
    expect(paths.reject { |path| Dir.glob(path, base: Docs::ROOT).any? }).to eq([])
  end
end
