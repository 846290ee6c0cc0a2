# frozen_string_literal: true

require "pty"
require "tmpdir"

RSpec.describe "Ctrl-C in a terminal", executor: :sequential do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }

  # Presses Ctrl-C once a program of a step runs.
  # @return [Array(Integer, String)] exit status, and what is on the screen
  def interrupted(step_options, call)
    File.write("prog.rb", %(trap("INT") { File.write("interrupted", ""); exit 1 }; File.write("began", ""); sleep(0.05) until File.exist?("go"); File.write("done", "")))
    File.write("job.rb", "Flowline.define { step(:call#{step_options}) { #{call}; sleep(0.05) until File.exist?(\"go\"); 1 }; step(:more, depends_on: :call) { |_| 2 } }")
    text = +""
    status = nil
    PTY.spawn(*Processes::FLOWLINE, "run", "job.rb") do |out, input, pid|
      eventually { File.exist?("began") }
      input.write("\x03")
      text << out.readpartial(4096) until text.include?("finishing")
      sleep 0.2
      File.write("go", "")
      begin
        loop { text << out.readpartial(4096) }
      rescue Errno::EIO
        nil # The process has ended.
      end
      status = Process.wait2(pid).last.exitstatus
    end
    [status, text.force_encoding("UTF-8")]
  end

  let(:command) { "\"#{RbConfig.ruby}\", \"prog.rb\"" }

  it "reaches a program that a step waits for in system" do
    status, text = interrupted("", "system(#{command})")
    expect([status, File.exist?("interrupted"), File.exist?("done")]).to eq([130, true, false])
    expect(text).to match(/✓.* call/)
  end

  it "reaches only Flowline if the program has a process group of its own" do
    status, text = interrupted("", "system(#{command}, pgroup: true, exception: true)")
    expect([status, File.exist?("interrupted"), File.exist?("done")]).to eq([130, false, true])
    expect(text).to match(/✓.* call/)
  end

  it "reaches no program of an isolated step" do
    status, = interrupted(", isolate: :process", "system(#{command})")
    expect([status, File.exist?("interrupted"), File.exist?("done")]).to eq([130, false, true])
  end
end
