# frozen_string_literal: true

require "rack"
require "rack/lint"
require "rack/mock"

RSpec.describe "The web page's security" do
  let(:pipeline) { Flowline.define(name: "import") { step(:fetch) { 1 } } }

  # The answer to a request, checked by Rack::Lint.
  def request(path, web: Flowline::Web.new(authorize: ->(_) { :act }), method: "GET", **env)
    headers = env.transform_keys(&:to_s)
    Rack::MockRequest.new(Rack::Lint.new(web)).request(method, path, headers)
  end

  it "shows nothing without authorize:, also not to a request of the same machine, and says what to set" do
    answer = request("/", web: Flowline::Web.new, REMOTE_ADDR: "127.0.0.1")
    expect(answer.status).to eq(403)
    expect(answer.body).to include("Flowline::Web.new(authorize:")
  end

  it "shows the pipelines to those whom authorize: lets in" do
    pipeline.run
    answer = request("/")
    expect([answer.status, answer.body]).to match([200, include("import")])
  end
end
