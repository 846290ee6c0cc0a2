# frozen_string_literal: true

# The page alone. Start it with: rackup examples/web/config.ru
#
# Everybody who knows the password may act. Over a network use it with TLS only.
require "rack/auth/basic"
require_relative "pipeline"

use Rack::Auth::Basic, "Flowline" do |user, password|
  user == "admin" && Rack::Utils.secure_compare(ENV.fetch("FLOWLINE_PASSWORD"), password)
end

run Flowline::Web.new(
  authorize: ->(env) { [:act, env["REMOTE_USER"]] if env["REMOTE_USER"] },
  pipelines: [Import],
  enqueue: ->(pipeline, params, resume) { pipeline.start(params: params, **(resume ? { resume: resume } : {})) }
)
