# frozen_string_literal: true

require "tmpdir"
require "fileutils"

RSpec.describe "Files that changed since the recorded run" do
  around { |example| Dir.mktmpdir { |dir| Dir.chdir(dir) { example.run } } }

  before do
    FileUtils.mkdir_p("lib")
    File.write("Gemfile", "")
    File.write("lib/imp.rb", "module Imp; def self.call = 1; end")
    File.write("lib/unused.rb", "")
    File.write("imports.rb", <<~RUBY)
      require_relative "lib/imp"
      Flowline.define(name: "imports") { step(:fetch) { Imp.call }; step(:load, depends_on: :fetch) { |n| File.exist?("broken") ? raise("no") : n } }
    RUBY
    File.write("broken", "")
    old = Time.now - 60
    File.utime(old, old, "lib/imp.rb", "lib/unused.rb", "imports.rb")
    flowline("run", "imports.rb")
  end

  def flowline(*arguments)
    out, err, = Open3.capture3(*Processes::FLOWLINE, *arguments)
    out + err
  end

  def touch(file)
    later = Time.now + 2
    File.utime(later, later, file)
  end

  let(:warning) { %r{restored steps may be stale: lib/imp\.rb changed since run \d{8}T\d{6}-\h{8}; from: runs a step and everything downstream again} }

  it "are named in the plan and when the run is resumed" do
    touch("lib/imp.rb")
    expect(flowline("plan", "imports.rb", "--resume")).to match(/^Warning: #{warning}$/)
    expect(flowline("plan", "imports.rb")).not_to include("stale")
    File.delete("broken")
    expect(flowline("run", "imports.rb", "--resume")).to match(/^⚠ #{warning}$/)
  end

  it "are those that are loaded, of the application, and without definitions of steps" do
    %w[lib/unused.rb imports.rb Gemfile].each { |file| touch(file) }
    expect(flowline("plan", "imports.rb", "--resume")).not_to include("stale")
  end
end
