# frozen_string_literal: true

require_relative "../support/docs/pages"

RSpec.describe "documentation" do
  it "shows code and output that are true in a Rails application", :rails, executor: :sequential do
    problems = Docs.problems(Docs::RAILS)
    expect(problems).to be_empty, problems.join("\n\n")
  end
end
