# frozen_string_literal: true

require "cgi"
require "fileutils"
require "net/http"
require "open3"
require "rbconfig"
require "socket"
require "tmpdir"

# The application that examples/rails/create.rb makes, with a server, Redis and Sidekiq, as somebody uses it.
RSpec.describe "examples/rails", :rails do
  root = File.expand_path("../..", __dir__)
  day = "2024-01-31"

  before(:all) do
    missing = RailsApp.missing || (Gem::Specification.find_all_by_name("sidekiq").any? && RedisServer.there? ? nil : "sidekiq or redis-server")
    skip "needs #{missing}" if missing && !ENV["CI"]

    @home = Dir.mktmpdir("flowline-shop")
    @folder = File.join(@home, "shop")
    @redis = RedisServer.new
    output, status = Open3.capture2e(environment, RbConfig.ruby, "-w", "#{root}/examples/rails/create.rb", @folder)
    raise output unless status.success?

    @port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    @server = spawn_in_shop("bin/rails", "server", "-b", "127.0.0.1", "-p", @port.to_s)
  end

  after(:all) do
    stop(@server, :KILL) if @server
    @redis&.stop
    FileUtils.rm_rf(@home) if @home
  end

  let(:programs) { [] }
  let(:cookies) { {} }

  before { FileUtils.rm_rf([*Dir.glob("#{@folder}/storage/flowline"), *Dir.glob("#{@folder}/log/*.log"), "#{@folder}/tmp/supplier_is_down"]) }

  after { programs.each { |pid| stop(pid, :KILL) } }

  # Starts a program of the application, which ends with the example.
  # @return [Integer] its process
  def start(...)
    spawn_in_shop(...).tap { |pid| programs << pid }
  end

  # The environment outside of the bundle. The application's own bundle has nothing that counts coverage.
  def environment
    { **RailsApp.environment, "RUBYOPT" => nil }
  end

  def spawn_in_shop(*command, **env)
    settings = { **environment, "REDIS_URL" => @redis.url, "RAILS_ENV" => "development", **env.transform_keys(&:to_s) }
    Process.spawn(settings, *command, chdir: @folder, pgroup: true, in: File::NULL, %i[out err] => ["#{@home}/output.log", "a"])
  end

  def stop(pid, signal)
    Process.kill(signal, signal == :KILL ? -pid : pid)
    eventually(60) { Process.wait2(pid, Process::WNOHANG)&.last }
  rescue Errno::ESRCH, Errno::ECHILD
    nil # It has ended.
  end

  def sidekiq(**env)
    start("bundle", "exec", "sidekiq", "-c", "2", "-t", "10", **env)
  end

  # @return [Net::HTTPResponse] the page that asks for the password, once the server listens
  def login
    eventually(60) { get("/login") rescue nil } # rubocop:disable Style/RescueModifier
  end

  # Logs in.
  def visit
    login
    submit("/login", get("/login"), password: "flowline")
  end

  def get(path)
    request(Net::HTTP::Get.new(path))
  end

  # Sends the form of a page, with its token.
  def submit(path, page, **fields)
    post = Net::HTTP::Post.new(path)
    post.set_form_data(authenticity_token: CGI.unescapeHTML(page.body[/name="authenticity_token" value="([^"]+)"/, 1]), **fields)
    request(post)
  end

  def request(request)
    request["Cookie"] = cookies.map { |name, value| "#{name}=#{value}" }.join("; ")
    answer = Net::HTTP.start("127.0.0.1", @port, read_timeout: 60) { |http| http.request(request) }
    answer.get_fields("Set-Cookie").to_a.each { |cookie| cookies.store(*cookie[/\A[^;]+/].split("=", 2)) }
    answer
  end

  # @return [Array<String>] the pages that the supplier has answered
  def pages
    File.readlines("#{@folder}/log/supplier.log", chomp: true).map { |line| line.split.last }
  rescue Errno::ENOENT
    []
  end

  def runs
    Flowline::History.runs(pipeline: "OrderImportPipeline", root: "#{@folder}/storage/flowline/development").reverse
  end

  it "imports a day by a job, and shows the orders and the run" do
    visit
    sidekiq
    expect(submit("/imports", get("/"), date: day)["Location"]).to end_with("127.0.0.1:#{@port}/")
    eventually(60) { runs.map(&:status) == [:succeeded] }
    expect(pages.map(&:to_i).sort).to eq([*1..12])
    expect(runs.first).to have_attributes(trigger: :job, params: { date: day })
    total = (1..12).sum { |page| (0..4).sum { |i| (page * 7) + i } }
    expect(get("/").body).to include("<td>#{day}</td><td>60</td><td>$#{total.to_s.sub(/\d{3}\z/, ',\0')}.00</td>", "#{day}, succeeded")
    expect(get("/flowline/").body).to include("OrderImportPipeline")
    expect(get("/flowline/runs/#{runs.first.run_id}").body).to include("fetch", "save", "total", day)
    expect(File.read("#{@folder}/log/development.log")).to include("[Flowline] [OrderImportPipeline]", "60 orders of #{day}")
  end

  it "shows nothing to those who are not logged in" do
    visit
    cookies.clear
    expect(get("/")["Location"]).to end_with("/login")
    expect(get("/flowline/").code).to match(/\A40[134]\z/)
    submit("/login", get("/login"), password: "wrong")
    expect(get("/flowline/").code).to match(/\A40[134]\z/)
  end

  it "is used in a browser: an import, its page, and another import that is started there", :browser do
    sidekiq
    Browser.open do |browser|
      fill = lambda do |selector, value, button|
        browser.execute_script("document.querySelector(arguments[0]).value = arguments[1]", selector, value)
        browser.find_element(css: button).click
      end
      login
      browser.get("http://127.0.0.1:#{@port}/")
      fill.call("[name=password]", "flowline", "[name=commit]")
      Browser.console(browser) # Leaves out its hints about a login without the name of a user.
      fill.call("[name=date]", day, "[name=commit]")
      eventually(60) { runs.map(&:status) == [:succeeded] }

      browser.navigate.refresh
      browser.find_element(link_text: runs.first.run_id).click
      eventually { browser.title.include?("Flowline") }
      expect(browser.find_element(css: "main").text).to include("OrderImportPipeline", "succeeded", "fetch", "save", "total", day)
      browser.save_screenshot(ENV["SCREENSHOT"]) if ENV["SCREENSHOT"]

      browser.get("http://127.0.0.1:#{@port}/flowline/pipelines/OrderImportPipeline/start")
      fill.call("[name='param:date']", "2024-02-01", "button[value=plan]")
      start = eventually { browser.find_elements(css: "button[value=start]").first }
      expect(browser.find_element(css: "main").text).to include("fetch", "2024-02-01")
      start.click
      eventually(60) { runs.map(&:status) == %i[succeeded succeeded] }
      expect(runs.last).to have_attributes(trigger: :job, params: { date: "2024-02-01" })
      expect(Browser.console(browser)).to eq([])
    end
  end

  it "continues after a deployment: the next worker reads only the pages that are left" do
    visit
    worker = sidekiq(SUPPLIER_SECONDS: "0.5")
    submit("/imports", get("/"), date: day)
    eventually(60) { pages.size >= 3 }
    stop(worker, :TERM)
    before = pages
    expect(before.size).to be_between(3, 11)
    expect(runs.map(&:status)).to eq([:cancelled])

    sidekiq
    eventually(60) { runs.map(&:status) == %i[cancelled succeeded] }
    expect(pages.map(&:to_i).sort).to eq([*1..12])
    expect(runs.last.resumed).to eq(runs.first.run_id)
  end

  it "retries the job when the supplier is down, and reads no page twice" do
    visit
    worker = sidekiq(SUPPLIER_SECONDS: "0.3")
    submit("/imports", get("/"), date: day)
    eventually(60) { pages.size >= 3 }
    FileUtils.touch("#{@folder}/tmp/supplier_is_down")
    eventually(60) { runs.map(&:status) == [:failed] }
    FileUtils.rm("#{@folder}/tmp/supplier_is_down")
    eventually(120) { runs.map(&:status) == %i[failed succeeded] } # Sidekiq looks at scheduled jobs now and then.
    expect(pages.map(&:to_i).sort).to eq([*1..12])
    stop(worker, :TERM)
  end
end
