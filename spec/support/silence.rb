# frozen_string_literal: true

require "tempfile"

# For what writes to the descriptor itself: a crash of Ruby tells of pages there.
module Silence
  # @return [Object] what the block returns
  def without_stderr
    Tempfile.create("stderr") do |file|
      saved = $stderr.dup
      $stderr.reopen(file)
      yield
    ensure
      $stderr.reopen(saved)
      saved.close
    end
  end
end

RSpec.configure { |config| config.include Silence }
