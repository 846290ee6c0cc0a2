# frozen_string_literal: true

require "flowline"

# The pipeline of both applications in this folder.
Import = Flowline.define(name: "import") do
  param :date, type: :date, default: -> { Date.today }, description: "The day to import"
  param :pages, type: :integer, default: 5, in: 1..50

  step(:fetch, description: "One page a second") do |ctx|
    Array.new(ctx[:pages]) do |page|
      ctx.log.info("page #{page + 1} of #{ctx[:date]}")
      sleep(1)
      page
    end
  end
  step(:load, depends_on: :fetch, &:size)
end
