# frozen_string_literal: true

require "bigdecimal"
require "json"
require "stringio"
require "tmpdir"
require_relative "../support/screen"

# Steps put secrets everywhere they can, in every notation. No byte that Flowline writes has one of them.
RSpec.describe "A secret" do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }
  after { programs.each(&:close) }

  let(:programs) { [] }
  let(:root) { ENV.fetch("FLOWLINE_ROOT") }
  let(:text) { "Zaun&k\"nig √5 <p>/+#~" }
  let(:lines) { "-----BEGIN KEY-----\nkwXbL0cq7TtJ\npQ2mZr8VhsYd\n-----END KEY-----" }
  let(:number) { BigDecimal("8675309.25") }
  let(:hash) { { "user-of-vault" => ["swordfish-and-chips"] } }

  # The texts that must be nowhere: each secret in every notation, and the parts of those that have some.
  let(:needles) do
    notations = Flowline::Identity::Notations
    texts = [text, lines, "user-of-vault", "swordfish-and-chips"]
    all = texts.flat_map { |secret| [secret, secret.inspect[1..-2], secret.dump[1..-2], *notations.of_text(secret)] }
    (all + notations.of_number(number) + lines.split("\n").grep_v(/---/)).uniq
  end

  # @param bytes [Hash{String => String}] what was written, by where
  def expect_no_secret(bytes)
    found = bytes.flat_map do |where, content|
      content = content.b
      needles.select { |needle| content.include?(needle.b) }.map { |needle| "#{where} has #{needle.inspect}: #{around(content, needle.b)}" }
    end
    expect(found).to be_empty, found.first(20).join("\n")
  end

  def around(content, needle)
    at = content.index(needle)
    content[[at - 120, 0].max, needle.size + 160].inspect
  end

  def store
    Dir.glob("#{root}/**/*", File::FNM_DOTMATCH).select { |file| File.file?(file) }.to_h { |file| [file, File.binread(file)] }
  end

  # A file whose steps return, raise, log, label, write and report the secrets, in all notations.
  def write_pipeline
    File.write("secrets.bin", Marshal.dump([{ text: text, lines: lines, number: number, hash: hash }, needles]))
    File.write("leaky.rb", <<~'RUBY')
      require "bigdecimal"
      $secrets, $forms = Marshal.load(File.binread("secrets.bin"))
      Flowline.define(name: "leaky", on_error: :continue) do |p|
        p.param :text, secret: true, default: $secrets[:text]
        p.param :lines, secret: true, default: $secrets[:lines]
        p.param :number, type: :decimal, secret: true, default: $secrets[:number]
        p.param :hash, type: :hash, secret: true, default: $secrets[:hash]
        p.step(:returns) { |text:, lines:, number:, hash:| [text, lines, number, hash, $forms] }
        p.step(:forms) { $forms }
        p.step(:logs) do |ctx|
          $forms.each { |form| ctx.log.info(form) }
          $forms.each { |form| ctx.log.error(KeyError.new(form)) }
          $secrets[:lines].each_line { |line| ctx.log.warn(line) }
          ctx.log.info($secrets.inspect)
          sleep 0.7 # So that other processes see it.
          1
        end
        p.step(:maps, each: :forms, label: ->(form) { form }, on_item_error: :continue, retries: 1, retry_delay: 0) { |form| raise IOError, "item #{form}" }
        p.step(:collects, each: :forms, label: ->(form) { form }, on_item_error: :collect) { |form| raise "item #{form}" }
        p.step(:keeps, each: :forms, label: ->(form) { form }) { |form| form }
        p.step(:raises, retries: 1, retry_delay: 0) { raise ArgumentError, $forms.join("\n") }
        p.step(:causes) { begin; raise $forms.join(" "); rescue StandardError; raise RuntimeError, $secrets.inspect; end }
        p.step(:times_out, timeout: 0.02) { |text:| sleep }
        p.step(:optional, optional: true) { raise $forms.join(", ") }
        p.step(:caches, cache: true) { |text:| $forms }
        p.step(:keyed, cache: { key: ->(text:) { raise text } }) { |text:| 1 }
        p.step(:child, isolate: :process) { |hash:| raise IOError, $forms.join("|") }
        p.step(:writes) { |ctx| $forms.each_with_index { |form, at| ctx.state[:"s#{at}"] = form rescue ctx.log.error($!) } && 1 }
        p.step(:titles) { File.write("titles.txt", Dir["/proc/#{$$}/{cmdline,comm,task/*/comm}"].map { |file| File.read(file) }.join("\n")) }
        p.after_step { |_, result| raise $forms.join(";") if result.name == :returns }
        p.after_run { raise $forms.first }
      end
    RUBY
  end

  def flowline(*argv)
    Processes.flowline(*argv)
  end

  def program(*arguments)
    env = { "TERM" => "xterm-256color", "LC_ALL" => "C.UTF-8", "NO_COLOR" => nil }
    Screen::Program.new(*Processes::FLOWLINE, *arguments, rows: 60, columns: 200, env: env).tap { |known| programs << known }
  end

  it "is in no byte of the store, of the live screen, of process titles, and of what the command line says about its run", executor: :sequential do
    write_pipeline
    live = program("run", "leaky.rb", "--verbose", "--executor", "parallel", "--max-threads", "4")
    live.wait
    expect(live.bytes.dup.force_encoding("UTF-8")).to include("raises", "[secret]")
    run = Flowline::History.runs.first
    expect(run.status).to eq(:failed)
    expect(run.logs(:logs).size).to be >= needles.size
    said = { "the screen" => live.bytes, "titles" => File.binread("titles.txt"), **store }
    run.steps.each { |step| said["why #{step.name}"] = flowline("why", step.name.name).join(" ") }
    [["show", run.run_id], ["show", run.run_id, "--json"], %w[status], %w[status --json], %w[history --json], %w[logs], %w[logs --json], %w[state], %w[state --json],
     %w[stats --json], %w[cache], %w[plan leaky.rb --resume], %w[plan leaky.rb --resume --json], %w[report], %w[visualize leaky.rb --format=svg],
     %w[visualize leaky.rb --format=html], %w[visualize leaky.rb --format=json], ["watch", run.run_id], ["watch", run.run_id, "--json"]].each do |command|
      said[command.join(" ")] = flowline(*command).join(" ")
    end
    resumed = program("resume", "leaky.rb", "--progress", "plain", "--verbose")
    resumed.wait
    expect_no_secret({ **said, "the screen of a resumed run" => resumed.bytes, **store })
  end

  it "is in no event, warning, error, result and report of its run", executor: :in_process do
    write_pipeline
    pipeline = eval(File.read("leaky.rb"), TOPLEVEL_BINDING.dup, "leaky.rb") # rubocop:disable Security/Eval -- this example wrote it
    out = StringIO.new
    events = []
    reporters = [Flowline::Reporter::JSON.new(out, events: :all), Flowline::Reporter.for(:all) { |event| events << [event.to_h.inspect, event.inspect] }]
    result = pipeline.run(reporter: reporters, executor: :parallel, capture: true)
    said = { "JSON" => out.string, "events" => events.flatten.compact.map(&:b).join("\n"), "the error" => result.error.message, "warnings" => result.warnings.join("\n"),
             "the result" => result.to_h.inspect + result.to_json + result.inspect, "the report" => result.report.to_s,
             "errors" => result.failed_steps.map { |name| result[name].error.message }.join("\n") }
    expect(out.string).to include("[secret]")
    expect_no_secret(said)
  end
end
