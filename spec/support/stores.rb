# frozen_string_literal: true

require "fileutils"
require "tmpdir"

# Every example has its own store, created when something is recorded.
module Stores
  ALL = Dir.mktmpdir("flowline-stores")
end

RSpec.configure do |config|
  number = 0
  config.around do |example|
    ENV["FLOWLINE_ROOT"] = File.join(Stores::ALL, (number += 1).to_s)
    example.run
  end
  config.after(:suite) { FileUtils.rm_rf(Stores::ALL) }
end
