# frozen_string_literal: true

require "rack"
require "rack/lint"
require "rack/mock"
require_relative "../support/browser"
require_relative "../support/processes"
require_relative "../support/web"

RSpec.describe "The web page's security" do
  # Texts that are something else than text where they are not escaped.
  hostile = {
    "an element" => "<script>window.hit=1</script>",
    "the end of an attribute" => "\"><img src=x onerror=\"window.hit=1\">",
    "the end of a quoted attribute" => "'><svg onload='window.hit=1'>",
    "the end of a script" => "</script><script>window.hit=1</script>",
    "an address" => "javascript:window.hit=1",
    "a template" => "${window.hit=1}{{constructor.constructor('window.hit=1')()}}",
    "the end of a comment" => "--><script>window.hit=1</script>",
    "line separators" => "a\u2028b\u2029</script>",
    "marks for the direction of writing" => "a\u202Egnp.exe",
    "a path" => "../../../etc/passwd",
    "dots" => "..",
    "nothing" => "",
    "a percent sign" => "%3Cscript%3E%00%",
    "a tilde" => "~0",
    "10 KB" => "<b>#{"x" * 10_000}",
    "Arabic and French" => "تحميل é à/?#&=+ ü"
  }.freeze

  let(:act) { Flowline::Web.new(authorize: ->(_) { [:act, "alice"] }) }
  let(:read) { Flowline::Web.new(authorize: ->(_) { :read }) }
  let(:entries) { [] }

  # The answer to a request, checked by Rack::Lint.
  def request(path, web: act, method: "GET", input: "", **env)
    Rack::MockRequest.new(Rack::Lint.new(web)).request(method, path, env.transform_keys(&:to_s).merge(input: input))
  end

  def post(path, web: act, fields: {}, **env)
    request(path, web: web, method: "POST", input: URI.encode_www_form(fields), CONTENT_TYPE: "application/x-www-form-urlencoded",
                  HTTP_HOST: "ops.example", **env)
  end

  # A run in another process that goes on until the example ends.
  def running
    @running ||= begin
      child { Flowline.define(name: "import") { step(:fetch) { sleep } }.run && nil }
      eventually { Flowline::History.runs(status: :running).first&.run_id }
    end
  end

  def asked?(id)
    store = Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT"))
    store.requests(store.history(Flowline::Store::Query.new(run_id: id, limit: 1)).first.id).any?
  end

  describe "authorization" do
    it "shows nothing without authorize:, also not to a request of the same machine, and says what to set" do
      answer = request("/", web: Flowline::Web.new, REMOTE_ADDR: "127.0.0.1")
      expect([answer.status, answer.body]).to match([403, include("Flowline::Web.new(authorize:")])
    end

    it "refuses whomever authorize: refuses, at every address" do
      web = Flowline::Web.new(authorize: ->(_) {})
      addresses = ["/", "/runs", "/runs/20261124T015539-04c21255/events", "/assets/#{Flowline::Web::Assets.fetch("flowline.css").file}", "/nowhere"]
      expect(addresses.map { |path| request(path, web: web).status }).to all(eq(403))
    end

    it "refuses everybody if authorize: returns something else than it should" do
      expect(request("/", web: Flowline::Web.new(authorize: ->(_) { false })).body).to eq("You may not see this page.\n")
      [true, "act", :admin, [:all, "alice"], {}].each do |value|
        answer = request("/", web: Flowline::Web.new(authorize: ->(_) { value }))
        expect([answer.status, answer.body]).to match([403, include("It has to return :read, :act")])
      end
    end

    it "raises at once if authorize: cannot be called" do
      expect { Flowline::Web.new(authorize: :read) }.to raise_error(ArgumentError, "authorize: must be callable, not :read")
    end

    it "lets those who may read look and not change" do
      id = running
      expect(request("/runs/#{id}", web: read).body).not_to include("/cancel")
      expect(request("/runs/#{id}/cancel", web: read).body).to include("You may look and not cancel it").and match(/^(?!.*<button)/m)
      answer = post("/runs/#{id}/cancel", web: read, HTTP_SEC_FETCH_SITE: "same-origin")
      expect([answer.status, answer.body, asked?(id)]).to match([403, include(":act is needed"), false])
    end
  end

  describe "a change" do
    # The headers of a request, and whether it may change something. Host is ops.example.
    {
      "a form of the page itself" => [{ HTTP_SEC_FETCH_SITE: "same-origin" }, true],
      "a form of another site" => [{ HTTP_SEC_FETCH_SITE: "cross-site" }, false],
      "a form of another port or subdomain" => [{ HTTP_SEC_FETCH_SITE: "same-site" }, false],
      "an address that was typed" => [{ HTTP_SEC_FETCH_SITE: "none" }, false],
      "another site that also claims an origin" => [{ HTTP_SEC_FETCH_SITE: "cross-site", HTTP_ORIGIN: "http://ops.example" }, false],
      "an old browser on the page itself" => [{ HTTP_ORIGIN: "http://ops.example" }, true],
      "an old browser on the page itself, behind TLS" => [{ HTTP_ORIGIN: "https://ops.example" }, true],
      "the same host with its usual port" => [{ HTTP_ORIGIN: "http://ops.example:80" }, true],
      "another port" => [{ HTTP_ORIGIN: "http://ops.example:8080" }, false],
      "another host" => [{ HTTP_ORIGIN: "http://evil.example" }, false],
      "a host that ends the same" => [{ HTTP_ORIGIN: "http://evil-ops.example" }, false],
      "a host that begins the same" => [{ HTTP_ORIGIN: "http://ops.example.evil.example" }, false],
      "a user in the origin" => [{ HTTP_ORIGIN: "http://ops.example@evil.example" }, false],
      "no origin, as of data:" => [{ HTTP_ORIGIN: "null" }, false],
      "an empty origin" => [{ HTTP_ORIGIN: "" }, false],
      "an origin without a host, to no host" => [{ HTTP_ORIGIN: "http://", HTTP_HOST: "" }, false],
      "a scheme of another kind" => [{ HTTP_ORIGIN: "file://ops.example" }, false],
      "neither header" => [{}, false],
      "plain http to a page with TLS" => [{ HTTP_ORIGIN: "http://ops.example", "rack.url_scheme": "https" }, false],
      "an origin that is configured" => [{ HTTP_ORIGIN: "https://browser.example" }, true]
    }.each do |name, (headers, accepted)|
      it "#{accepted ? "is made for" : "is refused for"} #{name}" do
        id = running
        web = Flowline::Web.new(authorize: ->(_) { :act }, origins: ["https://browser.example/"], audit: ->(entry) { entries << entry })
        answer = post("/runs/#{id}/cancel", web: web, **headers)
        expect([answer.status, asked?(id), entries.size]).to eq(accepted ? [303, true, 1] : [403, false, 0])
        expect(answer.body).to include("Forms are accepted only from this page itself") unless accepted
      end
    end

    it "is never made by GET, HEAD, PUT or DELETE" do
      id = running
      codes = %w[GET HEAD PUT DELETE PATCH OPTIONS].map { |method| request("/runs/#{id}/cancel", method: method, HTTP_SEC_FETCH_SITE: "same-origin").status }
      expect([codes, asked?(id)]).to eq([[200, 200, 405, 405, 405, 405], false])
      expect(request("/runs/#{id}/cancel", method: "PUT", HTTP_SEC_FETCH_SITE: "same-origin")["allow"]).to eq("HEAD, GET, POST")
      expect(request("/", method: "POST", HTTP_SEC_FETCH_SITE: "same-origin")["allow"]).to eq("HEAD, GET")
    end

    it "is written down with who made it, as a Hash or as one line" do
      id = running
      lines = []
      post("/runs/#{id}/cancel", web: Flowline::Web.new(authorize: ->(_) { [:act, "alice\nforged"] }, audit: ->(entry) { entries << entry }),
                                 HTTP_SEC_FETCH_SITE: "same-origin", REMOTE_ADDR: "192.0.2.1")
      expect(entries.last).to include(action: :cancel, who: "alice\nforged", address: "192.0.2.1", run: id, pipeline: "import")
      logger = Object.new.tap { |object| object.define_singleton_method(:info) { |line| lines << line } }
      post("/runs/#{id}/cancel", web: Flowline::Web.new(authorize: ->(_) { [:act, "alice\nforged"] }, audit: logger), HTTP_SEC_FETCH_SITE: "same-origin")
      expect(lines.join).to match(/\Aflowline: action=cancel who=alice\\nforged .*pipeline=import\z/)
    end

    it "is written down in UTF-8 if the server passes the user's name as bytes, even as bytes that are no text" do
      web = Flowline::Web.new(authorize: ->(env) { [:act, env["REMOTE_USER"]] }, audit: ->(entry) { entries << entry })
      ["Zoé تحميل".b, "b\xFF".b].each do |name|
        answer = post("/runs/#{running}/cancel", web: web, HTTP_SEC_FETCH_SITE: "same-origin", REMOTE_USER: name)
        expect(answer.status).to eq(303)
      end
      expect(entries.map { |entry| entry[:who] }).to eq(["Zoé تحميل", "b\uFFFD"])
    end

    it "goes to the log of the server if no audit: is given" do
      log = StringIO.new
      post("/runs/#{running}/cancel", HTTP_SEC_FETCH_SITE: "same-origin", "rack.errors": log)
      expect(log.string).to match(/^flowline: action=cancel who=alice/)
    end
  end

  describe "hosts:" do
    let(:web) { Flowline::Web.new(authorize: ->(_) { :read }, hosts: %w[127.0.0.1 localhost [::1]]) }

    it "refuses other names of the host, so that a name bound to this address is of no use" do
      codes = %w[127.0.0.1 127.0.0.1:80 LOCALHOST:7070 [::1]:7070].map { |host| request("/", web: web, HTTP_HOST: host).status }
      expect(codes).to all(eq(200))
      codes = %w[evil.example evil.example:7070 localhost.evil.example 127.0.0.1.evil.example localhost@evil.example].map do |host|
        request("/", web: web, HTTP_HOST: host).status
      end
      expect(codes).to all(eq(403))
    end
  end

  describe "headers" do
    it "allow no script without a nonce, no frame, no other type and no referrer, and share nothing with other origins" do
      Flowline.define(name: "import") { step(:fetch) { 1 } }.run
      id = Flowline::History.runs.first.run_id
      paths = ["/", "/runs/#{id}", "/nowhere", "/runs/#{id}/live.json", "/assets/#{Flowline::Web::Assets.fetch("flowline.js").file}"]
      answers = paths.map { |path| request(path, HTTP_ORIGIN: "http://evil.example") } << request("/", web: Flowline::Web.new)
      answers.each do |answer|
        policy = answer["content-security-policy"]
        expect(policy).to start_with("default-src 'none'; script-src ").and include("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'")
        expect(policy).not_to match(/unsafe|\*|script-src[^;]*self/)
        expect(answer.headers).to include("x-content-type-options" => "nosniff", "referrer-policy" => "same-origin")
        expect(answer.headers.keys.grep(/access-control|set-cookie/i)).to be_empty
        expect(answer.headers.keys).to all(match(/\A[a-z-]+\z/i))
      end
      nonces = Array.new(2) { request("/")["content-security-policy"][/'nonce-([\w-]{20,})'/, 1] }
      expect(nonces.uniq.size).to eq(2)
    end

    it "let browsers store scripts and styles for ever, and pages not at all" do
      file = Flowline::Web::Assets.fetch("flowline.css").file
      asset = request("/assets/#{file}")
      expect(asset["cache-control"]).to include("immutable", "max-age=31536000")
      expect(request("/assets/#{file}", HTTP_IF_NONE_MATCH: asset["etag"]).status).to eq(304)
      expect(request("/")["cache-control"]).to eq("no-store")
    end
  end

  describe "an address" do
    {
      "a path to a file" => "/assets/../../../../etc/passwd",
      "an escaped path to a file" => "/assets/..%2f..%2f..%2fetc%2fpasswd",
      "a file of the library" => "/assets/web.rb",
      "an asset with another digest" => "/assets/flowline-0123456789abcdef.css",
      "a run that is no id" => "/runs/..%2f..%2fetc%2fpasswd",
      "a run with a NUL" => "/runs/20261124T015539-04c21255%00",
      "a run that does not exist" => "/runs/20261124T015539-04c21255",
      "the events of a run that does not exist" => "/runs/20261124T015539-04c21255/events",
      "a run whose id goes on after a line break" => "/runs/20261124T015539-04c21255%0a/events",
      "another page" => "/admin",
      "a page below a page" => "/runs/20261124T015539-04c21255/cancel/now"
    }.each do |name, path|
      it "is not found for #{name}" do
        answer = request(path)
        expect([answer.status, answer.body]).to match([404, satisfy { |body| !body.include?("root:") }])
      end
    end

    it "is refused if it is no text or too long" do
      codes = %w[/pipelines/%ff /pipelines/%zz /pipelines/%].map { |path| request("/", PATH_INFO: path).status }
      expect(codes).to all(eq(400))
      query = ->(text) { Flowline::Web::Request.new("QUERY_STRING" => text).query }
      expect { query.call("a=#{"b" * 20_000}") }.to raise_error(Flowline::Web::Refusal, /more than 16384 bytes/)
      expect { query.call("a=%ff") }.to raise_error(Flowline::Web::Refusal, /no valid UTF-8/)
      expect(query.call("a=1&&b=x+y%20z&a=2&c")).to eq("a" => "2", "b" => "x y z", "c" => "")
    end

    it "takes huge numbers and odd cursors for what they are" do
      id = running
      ["9" * 400, "-1", "1e9", "0-0", "99999999999999999999-0123456789abcdef", "%00", "x" * 5000].each do |cursor|
        expect(request("/runs/#{id}/live.json?after=#{cursor}").status).to eq(200)
      end
      expect(request("/runs/#{id}/steps/~#{"9" * 300}").status).to eq(404)
    end

    it "can be that of any name" do
      names = hostile.each_value.map { |name| name.empty? ? "empty" : name }
      names.each do |name|
        segment = Flowline::Web::Names.segment(name)
        expect(segment).to match(/\A[\w.~%*-]+\z/).and(satisfy { |text| text.bytesize <= 400 && !%w[. ..].include?(text) })
        given = Flowline::Web::Request.new("PATH_INFO" => "/pipelines/#{segment}").segments.last
        expect(Flowline::Web::Names.resolve(given) { names }).to eq(name)
      end
    end
  end

  describe "a form" do
    it "is refused if it is too large or no form" do
      id = running
      headers = { HTTP_SEC_FETCH_SITE: "same-origin" }
      expect(post("/runs/#{id}/cancel", fields: { now: "1" * 1_100_000 }, **headers).status).to eq(413)
      expect(post("/runs/#{id}/cancel", **headers, CONTENT_TYPE: "application/json").status).to eq(415)
      expect(asked?(id)).to be(false)
    end
  end

  describe "text of a run" do
    # A run whose names, params, error, output, warning and log are hostile.
    def run_with(texts)
      Flowline.define(name: "import #{texts.first}", on_error: :continue) do
        texts.each_with_index do |text, at|
          param :"p#{at}#{text[0, 300]}", default: text
          step(:"#{at}#{text}", description: text) do |ctx|
            ctx.log.info(text)
            text
          end
          step(:"fails #{at}#{text}") do |ctx|
            ctx.log.error(text)
            raise text
          end
        end
      end.run(exclusive: false)
    end

    it "is never markup", :aggregate_failures do
      id = run_with(hostile.values).run_id
      ["/", "/runs/#{id}"].each do |path|
        html = request(path).body
        expect(html.scan(/<script\b[^>]*>/).grep_v(%r{nonce="|type="application/json"})).to eq([])
        markup = html.gsub(%r{(<script type="application/json"[^>]*>)[^<]*}, "\\1")
        expect(markup.scan(/<(?:img|b)\b[^>]*(?:onerror|xxx)|\son\w+=["']?window/)).to eq([])
        expect(html.scan(/[\u202E\u2028]/)).to eq([])
      end
    end

    it "runs no script in a browser, and the policy has nothing to block", :browser do
      id = run_with(hostile.values).run_id
      port = serve(act)
      Browser.open do |browser|
        ["/", "/runs/#{id}", "/runs?text=%3Cscript%3Ewindow.hit=1%3C/script%3E", "/pipelines/%3Cscript%3Ewindow.hit=1%3C%2Fscript%3E"].each do |path|
          browser.get("http://127.0.0.1:#{port}#{path}")
          eventually { browser.execute_script("return document.readyState") == "complete" }
          expect(browser.execute_script("return window.hit")).to be_nil
          expect(browser.execute_script("return document.querySelectorAll('img, iframe, object').length")).to eq(0)
        end
        expect(Browser.console(browser).grep(/Content Security Policy/)).to be_empty
      end
    end
  end

  describe "in a browser", :browser do
    it "accepts its own button, and no form of another origin or of data:" do
      id = running
      port = serve(act)
      form = "<form method=post action=http://127.0.0.1:#{port}/runs/#{id}/cancel><button>x</button></form><script>document.forms[0].submit()</script>"
      evil = serve(->(_) { [200, { "content-type" => "text/html" }, [form]] })
      Browser.open do |browser|
        ["http://127.0.0.1:#{evil}/", "http://localhost:#{evil}/", "data:text/html,#{form}"].each do |page|
          browser.get(page)
          eventually { browser.find_element(tag_name: "body").text.include?("Forms are accepted only from this page itself") }
        end
        expect(asked?(id)).to be(false)
        browser.get("http://127.0.0.1:#{port}/runs/#{id}/cancel")
        browser.find_element(css: "form button").click
        eventually { browser.current_url.end_with?("/runs/#{id}") }
      end
      expect(asked?(id)).to be(true)
    end

    it "accepts its own button on a named host without TLS, and no form of another host" do
      id = running
      port = serve(act)
      form = "<form method=post action=http://ops.example:#{port}/runs/#{id}/cancel></form><script>document.forms[0].submit()</script>"
      evil = serve(->(_) { [200, { "content-type" => "text/html" }, [form]] })
      Browser.open(arguments: ["--host-resolver-rules=MAP *.example 127.0.0.1"]) do |browser|
        browser.get("http://evil.example:#{evil}/")
        eventually { browser.find_element(tag_name: "body").text.include?("Forms are accepted only from this page itself") }
        expect(asked?(id)).to be(false)
        browser.get("http://ops.example:#{port}/runs/#{id}/cancel")
        browser.find_element(css: "form button").click
        eventually { browser.current_url.end_with?("/runs/#{id}") }
      end
      expect(asked?(id)).to be(true)
    end

    it "cannot be framed, and gives its address to no other site" do
      port = serve(read)
      outer = serve(->(_) { [200, { "content-type" => "text/html" }, ["<iframe src='http://127.0.0.1:#{port}/'></iframe>"]] })
      Browser.open do |browser|
        browser.get("http://127.0.0.1:#{outer}/")
        eventually { Browser.console(browser).grep(/frame-ancestors|X-Frame-Options/).any? }
      end
    end
  end
end
