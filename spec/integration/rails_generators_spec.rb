# frozen_string_literal: true

require "socket"

RSpec.describe "Generators for Rails", :rails do
  def generate(app, *arguments)
    app.run("bin/rails", "generate", *arguments).output!.gsub(/\e\[\d*m/, "")
  end

  describe "flowline:install" do
    it "makes settings, a folder, and the page of runs, which is open in development and closed in production" do
      app = rails_app
      made = [%w[create config/initializers/flowline.rb], %w[create app/pipelines/.keep], %w[create config/routes/flowline.rb], ["route", "draw :flowline"]]
      expect(generate(app, "flowline:install").scan(/^ *(\w+)  (.+)$/)).to eq(made)
      generate(app, "flowline:pipeline", "import")
      app.runner("ImportPipeline.run!").output!
      app.server do |server|
        page = server.get("/flowline")
        expect([page.code, page.body]).to match(["200", /ImportPipeline/])
      end
      app.server(env: { RAILS_ENV: "production" }) { |server| expect(server.get("/flowline").code).to eq("403") }
    end

    it "leaves the page out with --no-web, and says what its settings are by default" do
      app = rails_app
      expect(generate(app, "flowline:install", "--no-web")).not_to include("route")
      settings = app.read("config/initializers/flowline.rb")
      app.write("config/initializers/flowline.rb" => settings.gsub(/^  # (config)/, "  \\1"))
      code = "puts Flowline.config.then { |c| [c.root, c.executor, c.max_threads, c.cache, c.reporter] }.join(\" \")"
      expect(app.runner(code).output!).to eq("#{app.path("storage/flowline/development")} sequential 4 rails logger\n")
    end

    it "takes the login of the application: whoever is not logged in sees nothing, and whoever may act can start runs" do
      app = rails_app("app/controllers/logins_controller.rb" => <<~RUBY)
        class LoginsController < ActionController::Base
          def create
            session[:user_id] = params[:id]
            head :ok
          end
        end
      RUBY
      generate(app, "flowline:install")
      generate(app, "flowline:pipeline", "import", "fetch")
      routes = app.read("config/routes/flowline.rb").sub(/^  next :act.*\n/, "").sub("  nil\n", "  { \"1\" => [:act, \"ada\"], \"2\" => :read }[env[\"rack.session\"][:user_id]]\n")
      app.write("config/routes/flowline.rb" => routes)
      app.write("config/routes.rb" => app.read("config/routes.rb").sub("draw :flowline", "draw :flowline\n  get \"login\", to: \"logins#create\""))
      app.server do |server|
        expect(server.get("/flowline").code).to eq("403")
        cookies = %w[1 2].to_h { |id| [id, server.get("/login?id=#{id}")["Set-Cookie"][/[^;]+/]] }
        pages = cookies.transform_values { |cookie| server.get("/flowline", "Cookie" => cookie) }
        expect(pages.transform_values(&:code)).to eq("1" => "200", "2" => "200")
        expect(pages["1"].body).to include("ImportPipeline").and include("Run…")
        expect(pages["2"].body).not_to include("Run…")
        start = "/flowline/pipelines/ImportPipeline/start"
        expect(cookies.transform_values { |cookie| server.get(start, "Cookie" => cookie).code }).to eq("1" => "200", "2" => "403")
        codes = cookies.transform_values { |cookie| server.post(start, { "do" => "start" }, "Cookie" => cookie, "Sec-Fetch-Site" => "same-origin").code }
        expect(codes).to eq("1" => "303", "2" => "403")
        eventually(RailsApp::LIMIT) { server.get("/flowline/runs?status=succeeded", "Cookie" => cookies["2"]).body.match?(/ImportPipeline.*succeeded/m) }
      end
      expect(app.runner("puts Flowline::History.runs.map { |run| [run.status, run.trigger].join(\" by \") }").output!).to eq("succeeded by web\n")
    end

    it "mounts a page that follows a run while code changes" do
      app = rails_app("app/models/thing.rb" => "class Thing; def self.value = 1; end\n", "app/controllers/things_controller.rb" => <<~RUBY)
        class ThingsController < ActionController::Base
          def index = render(plain: Thing.value.to_s)
        end
      RUBY
      generate(app, "flowline:install")
      app.write("config/routes.rb" => app.read("config/routes.rb").sub("draw :flowline", "draw :flowline\n  get \"value\", to: \"things#index\""))
      app.spawn("bin/rails", "runner", "Flowline.define(name: \"long\") { step(:wait) { sleep(0.1) until File.exist?(\"done\") } }.run")
      app.server do |server|
        expect(server.get("/value").body).to eq("1")
        id = eventually(RailsApp::LIMIT) { server.get("/flowline").body[/\d{8}T\d{6}-\h{8}/] }
        page = server.get("/flowline/runs/#{id}").body
        follower = TCPSocket.new("127.0.0.1", server.port)
        follower.write("GET /flowline/runs/#{id}/events?after=#{page[/data-cursor="([^"]+)"/, 1]} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        eventually(RailsApp::LIMIT) { follower.gets.to_s.include?("event: hello") }
        2.upto(3) do |value|
          app.write("app/models/thing.rb" => "class Thing; def self.value = #{value}; end\n")
          expect(server.get("/value").body).to eq(value.to_s)
        end
        app.write("done" => "")
        eventually(RailsApp::LIMIT) { follower.gets.to_s.include?("succeeded") || follower.eof? }
      ensure
        follower&.close
      end
    end
  end

  describe "flowline:pipeline" do
    it "makes a pipeline with its test, which passes" do
      app = rails_app
      expect(generate(app, "flowline:pipeline", "shop/import_pipeline", "fetch_orders",
                      "load")).to include("create  app/pipelines/shop/import_pipeline.rb").and include("create  test/pipelines/shop/import_pipeline_test.rb")
      expect(app.read("app/pipelines/shop/import_pipeline.rb")).to eq(<<~RUBY)
        class Shop::ImportPipeline < Flowline::Pipeline
          options description: "Import"

          step :fetch_orders do
            []
          end

          step :load, depends_on: :fetch_orders do |fetch_orders|
            fetch_orders
          end
        end
      RUBY
      expect(app.run("bin/rails", "test").output!).to match(/2 runs, \d assertions, 0 failures, 0 errors/)
    end

    it "refuses steps whose names Ruby cannot have as variables, and names of two steps, before it makes a file" do
      app = rails_app
      { %w[fetch class 1st] => "class, 1st: an output gets the name of its step as a local variable, which Ruby does not allow",
        %w[fetch load fetch] => "fetch: another step has this name" }.each do |steps, message|
        expect(app.run("bin/rails", "generate", "flowline:pipeline", "import", *steps).output).to eq("#{message}\n")
      end
      expect(File).not_to exist(app.path("app/pipelines/import_pipeline.rb"))
    end

    it "makes a spec in an application that has RSpec, which passes" do
      skip "needs the gem rspec-rails" if Gem::Specification.find_all_by_name("rspec-rails").empty? && !ENV["CI"]
      app = rails_app.gem("rspec-rails")
      generate(app, "rspec:install")
      expect(generate(app, "flowline:pipeline", "Import")).to include("create  spec/pipelines/import_pipeline_spec.rb")
      expect(app.run("bundle", "exec", "rspec").output!).to include("2 examples, 0 failures")
      expect(app.run("bin/rails", "generate", "flowline:pipeline", "Import").output).to match(/conflict|already used/)
    end
  end
end
