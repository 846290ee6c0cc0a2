# frozen_string_literal: true

require "tempfile"

# For output to the descriptor itself, as when Ruby crashes.
module Silence
  # @return [Object] the block's value
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
