# frozen_string_literal: true

require_relative "execution/resources"
require_relative "execution/coordinator"
require_relative "execution/cancellation"
require_relative "execution/ending"
require_relative "execution/setup"
require_relative "execution/in_flight"
require_relative "execution/state"
require_relative "execution/environment"
require_relative "execution/limits"
require_relative "execution/inbox"
require_relative "execution/middleware"
require_relative "execution/serialising"
require_relative "execution/short_path"
require_relative "execution/virtual_time"

module Flowline
  # The execution of a run: the coordinator, the attempts that it submits to a pool, and their outcomes.
  module Execution
    autoload :Announcer, "#{__dir__}/execution/announcer"
    autoload :Attempt, "#{__dir__}/execution/attempt"
    autoload :Batch, "#{__dir__}/execution/batch"
    autoload :Batches, "#{__dir__}/execution/batches"
    autoload :Capture, "#{__dir__}/execution/capture"
    autoload :Dispatcher, "#{__dir__}/execution/dispatcher"
    autoload :FrozenOutputs, "#{__dir__}/execution/frozen_outputs"
    autoload :Gates, "#{__dir__}/execution/gates"
    autoload :Items, "#{__dir__}/execution/items"
    autoload :MappedStep, "#{__dir__}/execution/mapped_step"
    autoload :Monitor, "#{__dir__}/execution/monitor"
    autoload :Outcome, "#{__dir__}/execution/outcome"
    autoload :Pace, "#{__dir__}/execution/pace"
    autoload :Retry, "#{__dir__}/execution/retry"
    autoload :Standing, "#{__dir__}/execution/standing"
    autoload :Reuse, "#{__dir__}/execution/reuse"
    autoload :WholeStep, "#{__dir__}/execution/whole_step"
    autoload :Works, "#{__dir__}/execution/works"
  end
end
