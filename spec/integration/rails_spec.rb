# frozen_string_literal: true

RSpec.describe "Flowline in a Rails application", :rails do
  it "runs a pipeline in a controller of the server" do
    rails_app("config/routes.rb" => <<~ROUTES, "app/controllers/sums_controller.rb" => <<~CONTROLLER)
      Rails.application.routes.draw { get "/sum", to: "sums#show" }
    ROUTES
      class SumsController < ActionController::Base
        SUM = Flowline.define do
          step(:numbers) { [1, 2] }
          step(:sum, depends_on: :numbers) { |numbers| numbers.sum }
        end

        def show
          render plain: SUM.run.outputs[:sum]
        end
      end
    CONTROLLER
    rails_app.server { |server| expect(server.get("/sum").body).to eq("3") }
  end

  %w[development test production].each do |name|
    it "boots in the environment #{name}" do
      output = rails_app.runner("puts Rails.env, Flowline::VERSION", env: { "RAILS_ENV" => name }).output!
      expect(output.lines(chomp: true)).to eq([name, Flowline::VERSION])
    end
  end
end
