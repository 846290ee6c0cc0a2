# frozen_string_literal: true

require_relative "execution/resources"
require_relative "execution/coordinator"
require_relative "execution/cancellation"
require_relative "execution/ending"
require_relative "execution/dispatcher"
require_relative "execution/setup"
require_relative "execution/in_flight"
require_relative "execution/state"
require_relative "execution/environment"
require_relative "execution/limits"
require_relative "execution/inbox"
require_relative "execution/pace"
require_relative "execution/outcome"
require_relative "execution/attempt"
require_relative "execution/batch"
require_relative "execution/batches"
require_relative "execution/middleware"
require_relative "execution/whole_step"
require_relative "execution/works"
require_relative "execution/announcer"
require_relative "execution/short_path"
require_relative "execution/virtual_time"

module Flowline
  # The execution of a run: the coordinator, the attempts that it submits to a pool, and their outcomes.
  module Execution
    autoload :Capture, "#{__dir__}/execution/capture"
    autoload :FrozenOutputs, "#{__dir__}/execution/frozen_outputs"
    autoload :Gates, "#{__dir__}/execution/gates"
    autoload :Items, "#{__dir__}/execution/items"
    autoload :MappedStep, "#{__dir__}/execution/mapped_step"
    autoload :Monitor, "#{__dir__}/execution/monitor"
    autoload :Retry, "#{__dir__}/execution/retry"
    autoload :Standing, "#{__dir__}/execution/standing"
    autoload :Reuse, "#{__dir__}/execution/reuse"
    autoload :Serialising, "#{__dir__}/execution/serialising"
  end
end
