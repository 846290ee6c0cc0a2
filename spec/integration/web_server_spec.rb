# frozen_string_literal: true

require_relative "../support/processes"
require_relative "../support/web"

RSpec.describe "flowline web" do
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }

  # Starts the command, and waits until it has printed its address.
  # @return [Array(URI, Integer, IO)] the address, the number of its process, and what it writes to standard error
  def start(*arguments)
    out, out_end = IO.pipe
    err, err_end = IO.pipe
    pid = Process.spawn({ "FLOWLINE_ROOT" => root }, *Processes::FLOWLINE, "web", *arguments, out: out_end, err: err_end, pgroup: true)
    adopt(pid)
    [out_end, err_end].each(&:close)
    out.wait_readable(Processes::LIMIT) or raise "it prints nothing"
    line = out.gets or raise "it ended: #{err.read}"
    [URI(line.chomp), pid, err]
  end

  def status_of(pid)
    eventually { Process.wait2(pid, Process::WNOHANG) }.last
  end

  def request(url, **headers)
    Net::HTTP.start(url.host, url.port, read_timeout: Processes::LIMIT) { |http| http.get(url.path, headers.transform_keys(&:to_s)) }
  end

  def post(url, fields, **headers)
    body = URI.encode_www_form(fields)
    Net::HTTP.start(url.host, url.port, read_timeout: Processes::LIMIT) do |http|
      http.post(url.path, body, { "Content-Type" => "application/x-www-form-urlencoded", **headers.transform_keys(&:to_s) })
    end
  end

  def needs(*libraries)
    libraries.each { |library| require library }
  rescue LoadError
    raise if ENV["CI"]

    skip "needs #{libraries.join(" and ")}"
  end

  %w[puma webrick].each do |server|
    describe "with #{server}" do
      before { server == "puma" ? needs("puma") : needs("rack", "webrick") }

      it "shows the runs to whoever has the address, and nothing to others" do
        Flowline.define(name: "import") { step(:fetch) { raise "HTTP 500" } }.run
        url, = start("--server", server)
        expect(request(url).body).to include("import", "1 pipeline failed")
        expect(request(URI.join(url, "/")).code).to eq("403")
        expect(request(URI.join(url, "/#{"a" * 32}/")).body).to include("Open the address that flowline web has printed")
        expect(request(url, "Host" => "evil.example:#{url.port}").code).to eq("403")
        expect(request(url, "Host" => "localhost:#{url.port}").code).to eq("200")
      end

      it "ends cleanly on Ctrl-C, also while a page follows a run" do
        release = "#{root}.release"
        child { Flowline.define(name: "import") { step(:wait) { sleep(0.01) until File.exist?(release) } }.run && nil }
        id = eventually { Flowline::History.runs(status: :running).first&.then { |run| run.run_id if run.live } }
        url, pid, err = start("--server", server)
        follower = follow(url.port, "#{url.path}runs/#{id}/events")
        follower.read_until { follower.changes.any? }
        Process.kill(:INT, pid)
        expect(status_of(pid).exitstatus).to eq(0)
        expect(err.read).to include("the page is closed")
        File.write(release, "")
      end

      it "follows a run until it ends" do
        release = "#{root}.release"
        child { Flowline.define(name: "import") { step(:wait) { sleep(0.01) until File.exist?(release) } }.run && nil }
        id = eventually { Flowline::History.runs(status: :running).first&.then { |run| run.run_id if run.live } }
        url, = start("--server", server)
        follower = follow(url.port, "#{url.path}runs/#{id}/events")
        follower.read_until { follower.changes.any? }
        File.write(release, "")
        follower.read_until { follower.changes.last["over"] }
      end
    end
  end

  describe "with files" do
    before { needs("puma") }

    it "starts runs in processes of their own, with secrets that no other user can read, and writes who did what" do
      file = "#{root}.rb"
      File.write(file, <<~RUBY)
        Flowline.define(name: "import") do
          param :date, type: :date
          param :token, secret: true
          step(:fetch) { |ctx| puts "from \#{ctx[:date].year}"; ctx[:token].size }
        end
        Flowline.define { step(:unnamed) { 1 } }
      RUBY
      require "flowline/cli"
      loaded = Flowline::CLI::PipelineFile.load(file)
      pipeline = loaded.pipelines.fetch("import")
      arguments = nil
      allow(Process).to(receive(:spawn).and_wrap_original { |spawn, *words, **options| arguments = words and spawn.call(*words, **options) })
      pid = Flowline::CLI::Background.start({ file: file, pipeline: "import", params: { date: Date.new(2024, 1, 31), token: "s3cr3t" }, resume: nil,
                                              root: root, requires: [], rails: false })
      adopt(pid)
      run = eventually { Flowline::History.runs(pipeline: pipeline.name).first&.then { |found| found if found.status == :succeeded } }
      expect([run.trigger, run.params]).to eq([:web, { date: "2024-01-31", token: "[secret]" }])
      expect(run.logs(:fetch).map(&:text)).to eq(["from 2024"])
      expect(arguments.join(" ")).not_to include("s3cr3t")
    end

    it "starts and resumes runs from its forms, with the code as it is then" do
      file = "#{root}.rb"
      code = <<~RUBY
        Flowline.define(name: "import") do
          param :date, type: :date, required: true
          step(:fetch) { |date:| date.year }
          step(:load, depends_on: :fetch) { |year| raise "HTTP 503" }
        end
      RUBY
      File.write(file, code)
      url, _, err = start(file)
      page = URI.join(url, "pipelines/import/start")
      field = request(page).body[/name="([^"]*date)"/, 1]
      same = { "Sec-Fetch-Site" => "same-origin" }
      plan = post(page, { field => "2024-01-31", "do" => "plan" }, **same)
      expect(plan.body.force_encoding("UTF-8")).to include("fetch", "load", "2024-01-31", "Start the run")
      expect(Flowline::History.runs).to be_empty
      expect(post(page, { field => "2024-01-31", "do" => "start" }, **same).code).to eq("303")
      run = eventually { Flowline::History.runs.first&.then { |found| found if found.failed? } }
      expect([run.params, run.trigger, run.step(:fetch).status]).to eq([{ date: "2024-01-31" }, :web, :succeeded])
      File.write(file, code.sub('raise "HTTP 503"', "year + 1"))
      post(URI.join(url, "runs/#{run.run_id}/resume"), { "do" => "start" }, **same)
      again = eventually { Flowline::History.runs.first.then { |found| found if found.status == :succeeded } }
      expect([again.resumed, again.step(:fetch).status, again.step(:load).status]).to eq([run.run_id, :restored, :succeeded])
      expect(err.readline + err.readline + err.readline).to match(/action=start .*pipeline=import.*\n.*action=resume .*pipeline=import/)
    end

    it "cancels a run after it has shown what will happen" do
      release = "#{root}.release"
      child do
        pipeline = Flowline.define(name: "import") do
          step(:wait) { sleep(0.01) until File.exist?(release) }
          step(:after, depends_on: :wait) { 1 }
        end
        pipeline.run && nil
      end
      id = eventually { Flowline::History.runs(status: :running).first&.then { |run| run.run_id if run.live } }
      url, _, err = start
      page = URI.join(url, "runs/#{id}/cancel")
      expect(request(page).body).to include("Steps that run now", ">wait</a>", "1 further step does not start")
      answer = post(page, {}, "Sec-Fetch-Site" => "same-origin")
      expect([answer.code, answer["Location"]]).to eq(["303", "#{url.path}runs/#{id}"])
      eventually { Flowline::History.run(id).live&.stopped? }
      File.write(release, "")
      eventually { Flowline::History.run(id).status == :cancelled }
      expect(err.readline + err.readline).to include("action=cancel", "run=#{id}", "pipeline=import")
    end
  end

  describe "in one line" do
    require "flowline/cli"

    it "says that a port is taken" do
      needs("puma")
      taken = TCPServer.new("127.0.0.1", 0)
      port = taken.addr[1]
      expect(Processes.flowline("web", "--port", port.to_s)).to eq([1, "", "flowline: web: port #{port} is taken; choose another one, or leave out --port\n"])
    ensure
      taken&.close
    end

    it "says that a port cannot be one" do
      needs("puma")
      %w[70000 x].each do |port|
        expect(Processes.flowline("web", "--port", port)).to eq([2, "", "flowline: web: --port #{port} is not the number of a port, from 0 to 65535\n"])
      end
    end

    it "says which server to add if there is none" do
      allow(Flowline::Web::Server).to receive(:find).and_return(nil)
      code, _, err = Processes.flowline("web")
      expect([code, err]).to match([1, /\Aflowline: web: there is no web server; gem install puma .*\n\z/])
    end

    it "says that a file cannot be loaded" do
      needs("puma")
      expect(Processes.flowline("web", "nowhere.rb")).to eq([2, "", "flowline: no such file: nowhere.rb\n"])
    end
  end
end
