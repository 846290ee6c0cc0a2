# frozen_string_literal: true

require "fileutils"
require "json"
require "net/http"
require "open3"
require "rbconfig"
require "socket"
require "tmpdir"

# Copies orders between the two servers of the example, which run in a process of their own.
RSpec.describe "examples/api_sync.rb", executor: :in_process do
  root = File.expand_path("../..", __dir__)
  program = [RbConfig.ruby, "-w", "-I#{root}/lib", "#{root}/exe/flowline"]
  example_file = "#{root}/examples/api_sync.rb"

  around { |example| Dir.mktmpdir { |directory| @directory = directory and example.run } }

  # Starts both servers on these ports, 0: any free one.
  # @return [Array<String>] their URLs
  define_method(:start) do |*ports|
    reader, writer = IO.pipe
    processes << Process.spawn(RbConfig.ruby, "-w", "#{root}/examples/api_sync/servers.rb", *ports.map(&:to_s), out: writer, err: writer)
    writer.close
    raise "the servers do not start" unless reader.wait_readable(Processes::LIMIT)

    Array.new(2) { reader.gets[%r{http://\S+}] }.tap { reader.close }
  end

  let(:processes) { [] }

  before { @shop, @warehouse = start(0, 0) }

  after do
    processes.each { |pid| Process.kill(:KILL, pid) && Process.wait(pid) }
  end

  # The arguments of a command that uses the servers.
  define_method(:typed) do |command, *options|
    [{ "FLOWLINE_ROOT" => "#{@directory}/store", "NO_COLOR" => "1" }, *program, command, example_file,
     "--param", "shop=#{@shop}", "--param", "warehouse=#{@warehouse}", *options]
  end

  # @return [Array(String, Process::Status)]
  def flowline(...)
    output, status = Open3.capture2e(*typed(...))
    [output.force_encoding("UTF-8"), status]
  end

  def answer(url, path, verb: Net::HTTP::Get, body: nil)
    uri = URI.join(url, path)
    request = verb.new(uri, "Authorization" => "Bearer let-me-in")
    request.content_type = "application/json"
    request.body = JSON.generate(body) if body
    responses = Array.new(100).lazy.map { |_| Net::HTTP.start(uri.host, uri.port) { |http| http.request(request) } }
    JSON.parse(responses.find { |response| response.is_a?(Net::HTTPSuccess) || (sleep(0.1) && false) }.body) # The servers are busy at times.
  end

  # @return [Array<Hash>] the requests for single orders that a server has answered like this
  def requests(url, status: 200)
    answer(url, "/log").select { |line| line["status"] == status && line["path"].start_with?("/orders/") }
  end

  def copied
    answer(@warehouse, "/orders").sort_by { |order| order["id"] }
  end

  # Kills a command once the server has answered a number of requests.
  # @return [Process::Status]
  def killed(command, url, count)
    pid = Process.spawn(*typed(command, "--executor", "parallel", "--max-threads", "4"), out: File::NULL, err: File::NULL)
    eventually { requests(url).size >= count }
    Process.kill(:KILL, pid)
    Process.wait2(pid).last
  end

  it "copies every order once, page by page, and comes back to a busy server when it is asked to" do
    output, status = flowline("run", "--executor", "parallel")
    expect(status).to be_success, output
    expect(output).to include("60 orders copied; the last change is 60").and match(/✓ send .*60 records, \d+ retries/)
    expect(output).not_to include("warning:")
    expect(copied).to eq(Array.new(60) { |i| { "customer" => "customer #{(i + 1) % 7}", "cents" => 100 * (i + 1), "id" => i + 1, "change" => i + 1 } })
    expect(requests(@shop).map { |line| line["path"] }.tally.values.uniq).to eq([1])
    expect(requests(@warehouse).map { |line| line["path"] }.tally.values).to eq([1] * 60)
    expect(requests(@warehouse, status: 429)).not_to be_empty
    expect([@shop, @warehouse].flat_map { |url| answer(url, "/log") }.select { |line| line["early"] }).to be_empty
    pages = answer(@shop, "/log").map { |line| line["path"] }.grep(/changes/)
    expect(pages).to eq([0, 25, 50, 60].map { |after| "/changes?after=#{after}&limit=25" })
  end

  it "copies only what has changed since the last run that succeeded" do
    flowline("run", "--executor", "parallel")
    before = requests(@shop).size
    expect(flowline("run").first).to include("0 orders copied; the last change is 60")
    [7, 3, 7].each { |id| answer(@shop, "/orders/#{id}", verb: Net::HTTP::Put, body: { customer: "new", cents: id }) }
    changed = requests(@shop).size
    expect(changed).to eq(before + 3)
    expect(flowline("run").first).to include("2 orders copied; the last change is 63")
    expect(requests(@shop).drop(changed).map { |line| line["path"] }).to eq(%w[/orders/3 /orders/7])
    expect(copied.select { |order| order["customer"] == "new" }.map { |order| order["id"] }).to eq([3, 7])
  end

  it "resumes after kill -9, and repeats at most what was in flight" do
    expect(killed("run", @shop, 20).termsig).to eq(9)
    fetched = requests(@shop).size
    expect(fetched).to be_between(20, 59)

    expect(killed("resume", @warehouse, 10).termsig).to eq(9)
    repeated = requests(@shop).size - 60
    expect(repeated).to be_between(0, 4)
    sent = requests(@warehouse).size
    expect(sent).to be_between(10, 59)

    output, status = flowline("resume", "--executor", "parallel")
    expect(status).to be_success, output
    expect(output).to match(/resuming run .*: 0 steps and \d+ items restored/).and include("60 orders copied; the last change is 60")
    expect(requests(@shop).size).to eq(60 + repeated)
    expect(requests(@warehouse).size - 60).to be_between(0, 4)
    expect(copied.map { |order| order["id"] }).to eq([*1..60])
  end

  it "reads no order again when the warehouse was down, and forgets no change" do
    port = TCPServer.open("127.0.0.1", 0) { |server| server.addr[1] }
    @warehouse = "http://127.0.0.1:#{port}"
    output, status = flowline("run", "--executor", "parallel")
    expect(status.exitstatus).to eq(1)
    expect(output).to include("step send failed at item", "Errno::ECONNREFUSED").and match(/✓ orders .*60 records/)
    expect(requests(@shop).size).to eq(60)
    start(0, port)
    output, status = flowline("resume", "--executor", "parallel")
    expect(status).to be_success, output
    expect(output).to include("60 orders copied; the last change is 60").and match(/✓ orders .*60 restored/)
    expect([requests(@shop).size, requests(@warehouse).size]).to eq([60, 60])
  end

  it "fails at once with a wrong token, and shows the token nowhere" do
    output, status = flowline("run", "--param", "token=s3cret-but-wrong")
    expect(status.exitstatus).to eq(1)
    expect(output).to include("step orders failed: ApiSync::Refused", "401 Unauthorized").and match(/attempt 1 of/)
    stored = Dir.glob("#{@directory}/store/**/*").select { |path| File.file?(path) }.map { |path| File.binread(path) }
    expect([output.b, *stored].select { |text| text.include?("s3cret".b) }).to be_empty
    expect(answer(@shop, "/log").map { |line| line["status"] }).to eq([401])
  end
end
