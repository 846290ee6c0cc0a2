# frozen_string_literal: true

# The suite passes under every executor: FLOWLINE_EXECUTOR makes another one the default, `rake spec:executors` each.
# Examples that take one for granted say so:
#
# - `executor: :sequential`: what happens in the caller's thread, and in which order, is their subject.
# - `executor: :in_process`: their steps share memory with them. In forked children they cannot.
module Executors
  # What is default meanwhile, in processes that are started, too.
  def self.default(name)
    config = Flowline.config
    before = [ENV.fetch("FLOWLINE_EXECUTOR", nil), config.instance_variable_get(:@executor)]
    ENV["FLOWLINE_EXECUTOR"] = name.to_s
    config.executor = name
    yield
  ensure
    ENV["FLOWLINE_EXECUTOR"], config.executor = before
  end

  # @return [Boolean] whether an example with this tag needs another executor than the default
  def self.apart?(tag)
    case tag
    when :sequential then true
    when :in_process then Flowline.config.executor.to_s == "process"
    else raise ArgumentError, "executor: #{tag.inspect} is neither :sequential nor :in_process"
    end
  end
end

RSpec.configure do |config|
  config.around(:each, :executor) do |example|
    Executors.apart?(example.metadata[:executor]) ? Executors.default(:sequential) { example.run } : example.run
  end
end
