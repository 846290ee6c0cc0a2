# frozen_string_literal: true

require "open3"
require "rack"
require "rack/builder"
require "rack/lint"
require "rack/mock"
require "rbconfig"
require_relative "../support/processes"
require_relative "../support/web"

RSpec.describe "The web page in an application" do
  examples = File.expand_path("../../examples/web", __dir__)

  # Serves a file of Rack in a process of its own, as `rackup` does.
  # @return [Integer] the port
  def rackup(file, **env)
    code = <<~RUBY
      require "puma"; require "puma/server"; require "rack"
      app = Rack::Builder.parse_file(ARGV[0])
      events = defined?(Puma::LogWriter) ? Puma::Events.new : Puma::Events.strings
      server = Puma::Server.new(app.is_a?(Array) ? app.first : app, events, { min_threads: 0, max_threads: 2 })
      puts server.add_tcp_listener("127.0.0.1", 0).addr[1]
      $stdout.flush
      server.run.join
    RUBY
    out, out_end = IO.pipe
    environment = { "FLOWLINE_ROOT" => ENV.fetch("FLOWLINE_ROOT"), "RACK_ENV" => "production", **env.transform_keys(&:to_s) }
    adopt(Process.spawn(environment, RbConfig.ruby, "-I#{Processes::LIB}", "-e", code, file, out: out_end))
    out_end.close
    out.wait_readable(Processes::LIMIT)
    Integer(out.gets || raise("#{file} does not start"))
  end

  def ask(port, path, **headers)
    get(port, path, **headers)
  end

  before do
    require "puma"
  rescue LoadError
    raise if ENV["CI"]

    skip "needs puma"
  end

  it "is served by examples/web/config.ru to those who know the password" do
    port = rackup("#{examples}/config.ru", FLOWLINE_PASSWORD: "secret")
    expect(ask(port, "/").code).to eq("401")
    answer = ask(port, "/", "Authorization" => "Basic #{["admin:secret"].pack("m0")}")
    expect([answer.code, answer.body.force_encoding("UTF-8")]).to match(["200", include("import", "has not run")])
  end

  it "is served by examples/web/sinatra.rb below a path, with addresses below it" do
    require "sinatra/base"
    Flowline.define(name: "import") { step(:fetch) { 1 } }.run
    id = Flowline::History.runs.first.run_id
    port = rackup("#{examples}/shop.ru")
    expect(ask(port, "/").body).to include("Our shop")
    page = ask(port, "/admin/flowline").body
    links = page.scan(/(?:href|src|action)="(?!#|data:)([^"]*)"/).flatten
    expect(links).to include("/admin/flowline/runs/#{id}").and all(start_with("/admin/flowline/"))
    assets = links.grep(/assets/).map { |path| ask(port, path) }
    expect(assets.map(&:code)).to all(eq("200"))
    expect(ask(port, "/admin/flowline/runs/#{id}").body).to include("import")
  rescue LoadError
    raise if ENV["CI"]

    skip "needs sinatra"
  end

  it "does not need to end in a slash where it is mounted, and takes one" do
    web = Rack::URLMap.new("/flowline" => Flowline::Web.new(authorize: ->(_) { :read }))
    pages = %w[/flowline /flowline/].map { |path| Rack::MockRequest.new(Rack::Lint.new(web)).get(path) }
    expect(pages.map(&:status)).to eq([200, 200])
    expect(pages.map { |page| page.body.include?('href="/flowline/assets/') }).to eq([true, true])
  end

  it "needs nothing of Rack: it answers where Rack cannot be loaded" do
    code = <<~RUBY
      web = Flowline::Web.new(authorize: ->(_) { :read })
      status, headers, body = web.call("REQUEST_METHOD" => "GET", "SCRIPT_NAME" => "", "PATH_INFO" => "/", "QUERY_STRING" => "", "HTTP_HOST" => "x")
      puts status, headers.keys.all? { |name| name == name.downcase }, body.join.include?("</html>"), defined?(Rack).inspect
    RUBY
    out, status = ruby(code, RUBYOPT: "", FLOWLINE_ROOT: ENV.fetch("FLOWLINE_ROOT"))
    expect([out.lines(chomp: true), status.success?]).to eq([%w[200 true true nil], true])
  end

  it "loads nothing until it is used" do
    out, = ruby("puts $LOADED_FEATURES.grep(%r{flowline/web|securerandom|zlib})", RUBYOPT: "")
    expect(out).to eq("")
  end

  describe "in bytes" do
    let(:web) { Flowline::Web.new(authorize: ->(_) { :act }) }

    def bytes(path)
      answer = Rack::MockRequest.new(web).get(path, "HTTP_ACCEPT_ENCODING" => "gzip")
      expect(answer["content-encoding"]).to eq("gzip")
      answer.body.bytesize
    end

    def files
      Flowline::Web::Assets::PARTS.each_key.sum { |name| bytes("/assets/#{Flowline::Web::Assets.fetch(name).file}") }
    end

    it "takes at most 60 KB the first time, and 15 KB after" do
      Flowline.define(name: "import", on_error: :continue) do
        100.times { |at| step(:"load_table_#{at}", depends_on: at < 10 ? [] : :"load_table_#{at - 10}") { |ctx| at == 70 ? raise("HTTP 503") : ctx.log.info("row #{at}") } }
      end.run
      pages = ["/", "/runs", "/runs/#{Flowline::History.runs.first.run_id}", "/pipelines/import"].to_h { |path| [path, bytes(path)] }
      expect(pages.values).to all(be <= 15 * 1024)
      expect(pages.values.max + files).to be <= 60 * 1024
    end

    it "takes at most 60 KB the first time for a run of 5,000 steps" do
      Flowline.define(name: "wide") { 5_000.times { |at| step(:"load_table_#{at}", depends_on: at < 50 ? [] : :"load_table_#{at - 50}") { 1 } } }.run
      expect(bytes("/runs/#{Flowline::History.runs.first.run_id}") + files).to be <= 60 * 1024
    end

    it "has scripts of at most 8 KB, each" do
      expect(%w[flowline.js report.js].map { |name| bytes("/assets/#{Flowline::Web::Assets.fetch(name).file}") }).to all(be <= 8 * 1024)
    end
  end
end
