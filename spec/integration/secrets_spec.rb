# frozen_string_literal: true

RSpec.describe "Secrets" do
  { "a store" => "tenants", "the memory" => nil }.each do |where, name|
    context "when a run is resumed from #{where}" do
      let(:broken) { [1] }
      let(:pipeline) do
        broken = self.broken
        Flowline.define(name: name) do |p|
          p.param :token, type: :string, secret: true, default: "long-default"
          p.step(:plain) { 1 }
          p.step(:named) { |token:| "rows of #{token[-1]}" }
          p.step(:whole) { |ctx| ctx[:token][-1] }
          p.step(:load, depends_on: %i[named whole]) { |*rows| broken.empty? ? rows : raise("down") }
        end
      end

      before { pipeline.run(token: "long-token-A") && broken.clear }

      it "restore no step that was called with another one" do
        result = pipeline.run(resume: true, token: "long-token-B")
        expect(result.outputs[:load]).to eq(["rows of B", "B"])
        expect(result.steps.to_h { |step| [step.name, step.status] }).to include(plain: :restored, named: :succeeded, whole: :succeeded)
        expect(pipeline.run(dry_run: true, resume: true, token: "long-token-B")[:plain].action).to eq(:run)
      end

      it "restore the steps that were called with the same one" do
        expect(pipeline.run(resume: true, token: "long-token-A").steps.count { |step| step.status == :restored }).to eq(3)
      end

      it "say in the plan why a step runs again" do
        plan = pipeline.run(resume: true, dry_run: true, token: "long-token-B")
        expect(plan[:named].to_a.first(3)).to eq([:named, :run, "a secret param that it can see is another one"])
      end

      it "are not replaced by the default if they are not given again" do
        expect { pipeline.run(resume: true) }
          .to raise_error(Flowline::CheckpointError, /run \S+ cannot be resumed: it had another value of the secret param token; give it again/)
        expect(pipeline.run(resume: true, token: "long-token-A")).to be_success
      end
    end
  end

  it "leave nothing in the store with which a guessed value can be compared without the key" do
    Flowline.define(name: "t") { |p| p.param(:token, secret: true) && p.step(:a) { |token:| token && 1 } && p.step(:b) { raise "down" } }.run(token: "guess-me")
    store = Flowline::Store.at(ENV.fetch("FLOWLINE_ROOT"))
    imprint = store.enum_for(:records, store.latest("t").checkpoint, [["a"], [""]]).first[3]
    digests = [["guess-me"], [[:token], ["guess-me"]], [Flowline::Identity::Digest.try("guess-me")]].map { |value| Flowline.const_get(:Native).digest(value) }
    expect(imprint.split.size).to eq(2)
    expect(digests).not_to include(imprint.split.last)
    expect(store.key.bytesize).to eq(32)
  end

  def message(secret, type: :any)
    Flowline.define do
      param :key, secret: true, type: type
      step(:a) { |ctx| raise "é(#{Array(ctx[:key]).flatten.join(" ")}) 4242" }
    end.run(key: secret).error.message
  end

  it "are redacted in any encoding" do
    expect(message("\xFF\xFE\xFF".b)).to include("step a failed")
    expect(message("geheim".encode("UTF-16LE"))).not_to include("geheim")
    expect(message("passwörd".encode("ISO-8859-1"))).not_to include("passw")
  end

  it "are redacted in all their parts, short ones where they stand alone" do
    expect(message({ user: "ann", password: ["hunter2"] }, type: :hash)).not_to match(/ann|hunter2/)
    expect(message("42")).to include("é([secret]) 4242")
  end

  it "are redacted with the keys of a Hash, and as numbers in every notation" do
    expect(message({ "key-of-9" => { inner_key: 1 } }, type: :hash)).not_to match(/key-of-9|inner_key/)
    pipeline = Flowline.define do
      param :amount, secret: true, type: :decimal
      step(:a) { |amount:| raise "#{amount} #{amount.to_s("F")} #{amount.to_f} #{amount.to_i if amount.frac.zero?} end" }
    end

    expect(pipeline.run(amount: "1234.50").error.message).to include("RuntimeError: [secret] [secret] [secret]  end")
    expect(pipeline.run(amount: "777777").error.message).to include("RuntimeError: [secret] [secret] [secret] [secret] end")
  end

  # Returns the output about a secret that one step returns and the next one raises, and the bytes of the store's files.
  def told_and_stored(secret)
    result = Flowline.define(name: "leak") do
      param :key, secret: true
      step(:a) { |key:| { key: key } }
      step(:b, depends_on: :a) { |given| raise "bad #{given[:key].inspect}, #{given[:key]}" }
    end.run(key: secret)
    expect(result.warnings).to contain_exactly(/step a is not recorded, since it holds a secret/)
    [result.error.message, Dir.glob("#{ENV.fetch("FLOWLINE_ROOT")}/**/*").select { |file| File.file?(file) }.map { |file| File.binread(file) }.join]
  end

  it "are redacted in URLs, HTML, JSON and Base64" do
    require "cgi"
    require "erb"
    require "json"
    require "uri"
    secret = "a b&c\"d\n√é/+'<~*?"
    forms = [secret.to_json, URI.encode_www_form_component(secret), CGI.escape(secret), ERB::Util.url_encode(secret), CGI.escapeHTML(secret),
             [secret].pack("m0"), [secret].pack("m0").tr("+/", "-_").delete("="), CGI.escape(secret).gsub(/%\h\h/, &:downcase)]
    forms.each do |form|
      told = Flowline.define do
        param :key, secret: true
        step(:a) { raise "<#{form}>" }
      end.run(key: secret).error.message
      expect(told).to match(/<"?\[secret\]"?>/), form
    end
  end

  it "are redacted in the usual notations of a number" do
    require "bigdecimal"
    { BigDecimal("1234567.5") => ["0.12345675e7", "1234567.5", "1234567.50", "1,234,567.5", "1_234_567.50", "1.234568e+06"],
      123_456 => %w[123456 123,456 123_456 123456.0 123456.00], 0.25 => %w[0.25 2.500000e-01] }.each do |secret, forms|
      forms.each do |form|
        told = Flowline.define do
          param :key, secret: true
          step(:a) { raise "<#{form}>" }
        end.run(key: secret).error.message
        expect(told).to include("<[secret]>"), "#{secret} as #{form}"
      end
    end
  end

  it "are redacted and not stored when they are bytes" do
    key = "\xDE\xAD\xBE\xEF\x01\x02\xFF".b
    told, stored = told_and_stored(key)
    expect(told).to include('bad "[secret]", [secret]')
    expect(stored).not_to include(key)
    expect(told_and_stored("pässwörd").first).not_to include("ssw")
    expect(told_and_stored("ab").first).to include('bad "[secret]", [secret]')
  end

  it "are redacted and not stored when they are parts of objects" do
    stub_const("Login", Struct.new(:user, :password))
    stub_const("Login::Token", Class.new { def initialize(text) = @text = text })
    values = [Login.new("ann", "hunter2"), Login::Token.new("hunter2"), ("hunter2".."hunter3"), { a: [Login::Token.new(:hunter2)] }]
    values.each { |value| expect(told_and_stored(value).join).not_to include("hunter2") }
  end

  it "are redacted and not stored when they are times" do
    require "date"
    told, stored = told_and_stored(Date.new(2024, 3, 7))
    expect(told).not_to match(/2024-03-07|2460377/)
    expect(stored).not_to include(Marshal.dump(2_460_377)[2..])
    time = Time.at(1_700_000_000, 123_456_789, :nsec)
    told, stored = told_and_stored(time)
    expect(told).not_to include(time.inspect)
    expect(stored).not_to include(Marshal.dump(time)[12, 8])
  end

  it "prevent recording when they cannot be searched for" do
    closed = Class.new { def inspect = raise("no") }.new
    result = run(define: { name: "closed" }) do
      param :key, secret: true, default: closed
      step(:a) { 1 }
      step(:b, depends_on: :a) { raise "x" }
    end
    expect(result.warnings).to contain_exactly(/step a is not recorded/)
  end

  it "are redacted in all warnings" do
    store = Class.new { %i[get set exists?].each { |name| define_method(name) { |*| raise "no hunter2" } } }.new
    out = StringIO.new
    result = run(define: { cache: store }, key: "hunter2", reporter: Flowline::Reporter::JSON.new(out)) do
      param :key, secret: true
      step(:a, optional: true, cache: true, retries: 1, on_retry: -> { raise "bad hunter2" }) { raise "x" }
      step(:b, optional: true, retries: 1, retry_if: -> { raise "bad hunter2" }) { raise "x" }
      step(:c, cache: { key: -> { 1 } }) { Class.new { def marshal_dump = raise("hunter2") }.new }
    end
    expect(result.warnings).to include("on_retry: of step a failed: RuntimeError: bad [secret]")
    expect(result.warnings.join + result.to_json + out.string).not_to include("hunter2")
  end

  it "are redacted in a plan" do
    pipeline = Flowline.define(name: "inspected") { param(:token, secret: true) && step(:a) { |token:| token.size } }
    expect(pipeline.run(dry_run: true, token: "TOPSECRET").inspect).to eq("#<Flowline::Plan inspected 1 steps>")
  end
end
