# frozen_string_literal: true

require_relative "../support/browser"
require_relative "../support/processes"
require_relative "../support/web"

RSpec.describe "A page that follows a run" do
  let(:folder) { ENV.fetch("FLOWLINE_ROOT") }
  let(:web) { Flowline::Web.new(authorize: ->(_) { :act }) }

  # A run in another process, whose steps wait for files in the folder of the store.
  # @return [String] its id
  def start_run(*names)
    root = folder
    others = Flowline::History.runs.map(&:run_id)
    FileUtils.mkdir_p(root)
    child do
      pipeline = Flowline.define(name: "import") do
        names.each_with_index do |name, at|
          step(name, depends_on: at.zero? ? [] : names[at - 1]) do |ctx|
            ctx.log.info("#{name} begins")
            sleep(0.01) until File.exist?("#{root}/#{name}")
            raise "HTTP 500" if File.read("#{root}/#{name}") == "fail"
          end
        end
      end
      pipeline.run
      nil
    end
    eventually { Flowline::History.runs(status: :running).find { |run| !others.include?(run.run_id) && run.live }&.run_id }
  end

  def release(name, content = "")
    File.write("#{folder}/#{name}.part", content)
    File.rename("#{folder}/#{name}.part", "#{folder}/#{name}")
  end

  def time
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    yield
    Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  end

  # Other programs run as well: so many times as long as promised may it take.
  def patience
    4
  end

  def states(change)
    change["rows"].to_h { |at, status, *| [at, Flowline::Report::Data::ORDER[status]] }
  end

  it "is sent what has changed, and nothing else" do
    id = start_run(:fetch, :load)
    port = serve(web)
    cursor = get(port, "/runs/#{id}").body[/data-cursor="([^"]+)"/, 1]
    follower = follow(port, "/runs/#{id}/events?after=#{cursor}")
    follower.read_until { |text| text.include?("event: hello") }
    release(:fetch)
    follower.read_until { follower.changes.any? { |change| states(change)[0] == :succeeded } }
    follower.read_until { |text| text.include?("load begins") }
    lines = follower.changes.flat_map { |change| change["lines"] }.join
    expect([lines.include?("load begins"), lines.include?("fetch begins")]).to eq([true, false])
    expect(follower.changes.flat_map { |change| change["parts"].keys }.uniq).to contain_exactly("head", "now")
    release(:load, "fail")
    follower.read_until { follower.changes.last&.fetch("over") }
    expect(follower.changes.map { |change| change["parts"]["failures"] }.compact.last).to include("HTTP 500")
    expect(follower.read_until { false }).to be(false) # The server closes it.
  end

  it "misses nothing when the server is restarted, because the browser says what it had last" do
    id = start_run(:fetch, :load)
    port = serve(web)
    follower = follow(port, "/runs/#{id}/events")
    follower.read_until { follower.last_id }
    stop_server(port)
    release(:fetch)
    eventually { Flowline::History.run(id).step(:fetch).status == :succeeded }
    serve(Flowline::Web.new(authorize: ->(_) { :read }), port: port)
    again = follow(port, "/runs/#{id}/events", "Last-Event-ID" => follower.last_id)
    again.read_until { again.changes.any? { |change| states(change)[0] == :succeeded } }
    again.read_until { again.changes.any? { |change| change["lines"].join.include?("load begins") } }
    expect(again.changes.flat_map { |change| change["lines"] }.join).not_to include("fetch begins")
    release(:load)
  end

  it "is asked to ask no more when the run has ended and it knows that" do
    id = start_run(:fetch)
    port = serve(web)
    follower = follow(port, "/runs/#{id}/events")
    release(:fetch)
    follower.read_until { follower.changes.last&.fetch("over") }
    expect(get(port, "/runs/#{id}/events", "Last-Event-ID" => follower.last_id).code).to eq("204")
  end

  it "loses its connection, and no other page does, if its run cannot be shown" do
    ids = [start_run(:fetch), start_run(:load)]
    port = serve(web)
    followers = ids.map { |id| follow(port, "/runs/#{id}/events") }
    followers.each { |follower| follower.read_until { follower.changes.any? } }
    allow(Flowline::Web::Snapshot).to receive(:new).and_wrap_original do |make, run, *rest|
      run.run_id == ids.first ? raise("it has odd steps") : make.call(run, *rest)
    end
    expect(followers.first.read_until { false }).to be(false)
    release(:load)
    followers.last.read_until { followers.last.changes.last["over"] }
    release(:fetch)
  end

  it "is sent nothing while nothing changes" do
    id = start_run(:fetch)
    port = serve(web)
    follower = follow(port, "/runs/#{id}/events")
    follower.read_until { follower.changes.any? }
    sleep(1.5)
    follower.socket.read_nonblock(100_000, exception: false).then { |chunk| follower.text << chunk if chunk.is_a?(String) }
    expect(follower.changes.size).to be <= 2 # The row of the run may have been written again.
    release(:fetch)
  end

  it "can ask again and again instead" do
    id = start_run(:fetch)
    port = serve(web)
    first = JSON.parse(get(port, "/runs/#{id}/live.json").body)
    expect(states(first)).to eq(0 => :running)
    expect(get(port, "/runs/#{id}/live.json?after=#{first["cursor"]}").body).to eq("{}")
    release(:fetch)
    eventually do
      change = JSON.parse(get(port, "/runs/#{id}/live.json?after=#{first["cursor"]}").body)
      change["over"] && states(change) == { 0 => :succeeded }
    end
  end

  it "gets what there is at once where the server does not hand over its connections" do
    id = start_run(:fetch)
    port = serve(->(env) { web.call(env.except("rack.hijack?")) })
    follower = follow(port, "/runs/#{id}/events")
    follower.read_until { |text| text.include?('"over":false') }
    expect(follower.text).to match(%r{content-type: text/event-stream}i).and match(/^retry: 1000\r?$/)
    release(:fetch)
  end

  it "is refused above the number of viewers, and notified of that" do
    id = start_run(:fetch)
    port = serve(Flowline::Web.new(authorize: ->(_) { :read }, viewers: 2))
    2.times { follow(port, "/runs/#{id}/events").read_until { |text| text.include?("hello") } }
    refused = get(port, "/runs/#{id}/events")
    expect([refused.code, refused.body]).to match(["503", include("So many pages follow runs already")])
    expect(get(port, "/runs/#{id}/live.json").code).to eq("200")
    release(:fetch)
  end

  describe "with 50 viewers on 2 threads of Puma" do
    it "shows every viewer a change within 500 ms, and other pages within 20 ms" do
      id = start_run(:fetch, :load)
      port = serve(web)
      viewers = Array.new(50) { follow(port, "/runs/#{id}/events") }
      viewers.each { |viewer| viewer.read_until { viewer.changes.any? } }
      times = Array.new(30) { time { get(port, "/runs/#{id}") } }
      release(:fetch)
      eventually { Flowline::History.run(id).step(:fetch).status == :succeeded }
      behind = time { viewers.each { |viewer| viewer.read_until { viewer.changes.any? { |change| states(change)[0] == :succeeded } } } }
      release(:load)
      expect(times.sort[15]).to be < 0.02 * patience
      expect(behind).to be < 0.5 * patience
    end

    it "is not held up by a viewer that reads nothing" do
      id = start_run(:fetch, :load)
      port = serve(web)
      lazy = Array.new(5) { follow(port, "/runs/#{id}/events") }
      lazy.each { |viewer| viewer.socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_RCVBUF, 1024) }
      viewer = follow(port, "/runs/#{id}/events")
      release(:fetch)
      viewer.read_until { viewer.changes.any? { |change| states(change)[0] == :succeeded } }
      release(:load)
      viewer.read_until { viewer.changes.last["over"] }
    end
  end

  describe "a connection" do
    let(:topic) { Struct.new(:cursor, :content, :over?) { def changes(after) = (content unless after == cursor) }.new("1", "{}", false) }
    let(:ends) { UNIXSocket.pair }

    after { ends.each { |io| io.close unless io.closed? } }

    def viewer(cursor = nil)
      Flowline::Web::Viewer.new(ends.first, topic, cursor, 0.0)
    end

    it "says something every 15 seconds, so that no proxy closes it" do
      viewer = viewer("1")
      [1, 14, 16, 29, 32].each { |time| viewer.update(time.to_f) }
      expect(ends.last.read_nonblock(1000).scan(/^:\n/).size).to eq(2)
    end

    it "is closed after five minutes, so that its viewer is authorized again" do
      viewer = viewer("1")
      expect([299.0, 301.0].map { |time| viewer.update(time) }).to eq([true, false])
      expect(ends.first).to be_closed
    end

    it "gets one change for all that it has missed, once it reads again" do
      viewer = viewer()
      topic.content = "x" * 500_000
      viewer.update(1.0)
      (2..20).each do |number|
        topic.cursor = number.to_s
        topic.content = number.to_s
        expect(viewer.update(number.to_f)).to be(true)
      end
      text = +""
      20.times do
        text << ends.last.read_nonblock(1_000_000, exception: false).then { |chunk| chunk.is_a?(String) ? chunk : "" }
        viewer.update(21.0)
      end
      expect(text.scan(/^id: (.*)$/).flatten).to eq(%w[1 20])
    end

    it "is given up when the browser has left" do
      viewer = viewer()
      ends.last.close
      expect(viewer.update(1.0)).to be(false)
    end
  end

  describe "in a browser", :browser do
    # @return [Float] seconds until a condition holds, which the browser checks
    def until_in(browser, condition)
      browser.manage.timeouts.script = Processes::LIMIT
      browser.execute_async_script(<<~JS)
        const done = arguments[0], start = performance.now();
        const look = () => (#{condition}) ? done((performance.now() - start) / 1000) : setTimeout(look, 5);
        look();
      JS
    end

    # @return [Boolean] whether a condition holds; a page that is being loaded says nothing
    def says?(browser, condition)
      browser.execute_script("return !!(#{condition})")
    rescue Selenium::WebDriver::Error::JavascriptError, Selenium::WebDriver::Error::UnknownError
      false
    end

    it "shows what changes within 500 ms: the state, the graph, the table and the log" do
      id = start_run(:fetch, :load)
      port = serve(web)
      Browser.open do |browser|
        browser.get("http://127.0.0.1:#{port}/runs/#{id}")
        until_in(browser, "document.querySelector('#s0')?.className === 'running' && document.querySelector('#filters input')")
        release(:fetch)
        eventually { Flowline::History.run(id).then { |run| run.step(:fetch).status == :succeeded && run.live.ended == 1 } }
        shown = until_in(browser, <<~JS)
          document.querySelector('#s0').className.includes('succeeded') && document.querySelector('a.step.succeeded') &&
            document.querySelector('#now h2').textContent.startsWith('1 of 2') && document.querySelector('#log').textContent.includes('load begins')
        JS
        expect(shown).to be < 0.5 * patience
        release(:load, "fail")
        # Soon after, it loads the page again, which has all that a report has.
        eventually { says?(browser, "document.querySelector('#failures').textContent.includes('HTTP 500') && document.querySelector('#head .failed')") }
        eventually { says?(browser, "!document.querySelector('main').dataset.live && !document.querySelector('#timeline').hidden") }
        expect(browser.find_element(id: "timeline").text).to include("Critical path")
        expect(Browser.console(browser)).to be_empty
      end
    end

    it "goes on after the server was restarted, and says meanwhile that it cannot reach it" do
      id = start_run(:fetch, :load)
      port = serve(web)
      Browser.open do |browser|
        browser.get("http://127.0.0.1:#{port}/runs/#{id}")
        until_in(browser, "document.querySelector('#s0')?.className === 'running' && document.querySelector('#filters input')")
        eventually { web.feed.size == 1 }
        stop_server(port)
        followers.clear
        web.feed.close
        until_in(browser, "document.getElementById('connection')?.textContent.includes('Trying again')")
        release(:fetch)
        serve(web, port: port)
        until_in(browser, "document.querySelector('#s0').className.includes('succeeded') && !document.getElementById('connection').textContent")
        release(:load)
      end
    end

    it "has nothing that axe-core finds, while it goes on and when the connection is lost", :axe do
      id = start_run(:fetch, :load)
      port = serve(web)
      [{}, { dark: true }, { width: 390, height: 844 }].each do |options|
        Browser.open(**options) do |browser|
          browser.get("http://127.0.0.1:#{port}/runs/#{id}")
          until_in(browser, "document.querySelector('#s0')?.className === 'running' && document.querySelector('#filters input')")
          expect(Browser.violations(browser)).to eq([])
          next unless options[:width]

          stop_server(port)
          web.feed.close
          until_in(browser, "document.getElementById('connection')?.textContent.includes('Trying again')")
          expect(Browser.violations(browser)).to eq([])
        end
      end
      %i[fetch load].each { |name| release(name) }
    end

    it "asks every second where streams are refused" do
      id = start_run(:fetch, :load)
      port = serve(Flowline::Web.new(authorize: ->(_) { :read }, viewers: 0))
      Browser.open do |browser|
        browser.get("http://127.0.0.1:#{port}/runs/#{id}")
        release(:fetch)
        until_in(browser, "document.querySelector('#s0')?.className.includes('succeeded')")
        release(:load)
      end
    end

    it "shows the moment of its loading without JavaScript" do
      id = start_run(:fetch)
      port = serve(web)
      Browser.open(script: false) do |browser|
        browser.get("http://127.0.0.1:#{port}/runs/#{id}")
        expect(browser.find_element(id: "now").text).to include("0 of 1 steps have ended", "fetch")
        expect(browser.find_element(id: "log").text).to include("fetch begins")
        browser.find_element(link_text: "Cancel…").click
        browser.find_element(css: "form button").click
        eventually { browser.current_url.end_with?(id) }
      end
      eventually { Flowline::History.run(id).live&.stopped? }
      release(:fetch)
    end
  end
end
