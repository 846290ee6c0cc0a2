# frozen_string_literal: true

# The suite passes under every executor: FLOWLINE_EXECUTOR sets the default, and `rake spec:executors` tries each.
# Examples that need a certain executor have a tag:
#
# - `executor: :sequential`: the example is about the caller's thread, or about order.
# - `executor: :in_process`: the steps share memory with the example, which forked children cannot.
module Executors
  # Sets the default for the block, and for processes that it starts.
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
