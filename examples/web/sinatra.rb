# frozen_string_literal: true

# The page as a part of an application of Sinatra. Start it with: rackup examples/web/shop.ru
require "sinatra/base"
require_relative "pipeline"

# The application: everybody may read what runs, and nobody changes it.
class Application < Sinatra::Base
  get("/") { "<h1>Our shop</h1><p><a href=\"/admin/flowline\">Runs</a></p>" }
end

Shop = Rack::URLMap.new(
  "/" => Application,
  "/admin/flowline" => Flowline::Web.new(authorize: ->(_env) { :read }, pipelines: [Import])
)
