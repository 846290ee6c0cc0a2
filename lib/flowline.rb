# frozen_string_literal: true

require_relative "flowline/version"
require_relative "flowline/errors"
require "flowline/flowline"
require_relative "flowline/caller"
require_relative "flowline/loading"
require_relative "flowline/name"
require_relative "flowline/execution"
require_relative "flowline/configuration"
require_relative "flowline/step"
require_relative "flowline/definition"
require_relative "flowline/pipeline"

# Declarative data pipelines inside your own Ruby process: steps, their dependencies, and runs.
module Flowline
  # Pipelines are defined without these. {Loading} loads what runs need.
  autoload :Arguments, "#{__dir__}/flowline/arguments"
  autoload :Backtrace, "#{__dir__}/flowline/backtrace"
  autoload :Cache, "#{__dir__}/flowline/cache"
  autoload :Checkpoint, "#{__dir__}/flowline/checkpoint"
  autoload :Clock, "#{__dir__}/flowline/clock"
  autoload :Context, "#{__dir__}/flowline/context"
  autoload :DAG, "#{__dir__}/flowline/dag"
  autoload :Event, "#{__dir__}/flowline/event"
  autoload :Events, "#{__dir__}/flowline/events"
  autoload :Executor, "#{__dir__}/flowline/executor"
  autoload :Identity, "#{__dir__}/flowline/identity"
  autoload :ItemCounts, "#{__dir__}/flowline/item_counts"
  autoload :History, "#{__dir__}/flowline/history"
  autoload :Job, "#{__dir__}/flowline/job"
  autoload :Log, "#{__dir__}/flowline/log"
  autoload :Integrations, "#{__dir__}/flowline/integrations"
  autoload :Param, "#{__dir__}/flowline/param"
  autoload :Plan, "#{__dir__}/flowline/plan"
  autoload :Planning, "#{__dir__}/flowline/planning"
  autoload :Recording, "#{__dir__}/flowline/recording"
  autoload :Report, "#{__dir__}/flowline/report"
  autoload :Reporter, "#{__dir__}/flowline/reporter"
  autoload :Result, "#{__dir__}/flowline/result"
  autoload :Resumption, "#{__dir__}/flowline/resumption"
  autoload :Run, "#{__dir__}/flowline/run"
  autoload :Skipped, "#{__dir__}/flowline/step_result"
  autoload :State, "#{__dir__}/flowline/state"
  autoload :StepResult, "#{__dir__}/flowline/step_result"
  autoload :Store, "#{__dir__}/flowline/store"
  autoload :Telemetry, "#{__dir__}/flowline/telemetry"
  autoload :Text, "#{__dir__}/flowline/text"
  autoload :TypeHints, "#{__dir__}/flowline/type_hints"
  autoload :Web, "#{__dir__}/flowline/web"

  # The Rust core. Steps are integers there, in definition order.
  # @api private
  module Native
  end
  private_constant :Native

  # Defines a pipeline.
  #
  # In a block without parameters, the words of {Definition} (+step+, +param+, +include+, hooks) are called without a
  # receiver. In blocks of steps, hooks and conditions, +self+ is still the +self+ around +define+. A block with a
  # parameter gets the definition, and its +self+ does not change: +Flowline.define { |p| p.step(:a) { 1 } }+.
  #
  # @param options [Hash] the options of {Definition::Options::DEFINE}
  # @option options [String, Symbol] :name the name of the pipeline
  # @option options [Symbol] :on_error +:stop+ (default) starts no further step after a failure; +:continue+ still
  #   runs every step that does not depend on the failed one
  # @return [Pipeline] frozen; safe to run from several threads at once
  # @raise [DefinitionError] lists every mistake that no enclosing pipeline could fix
  # @example
  #   pipeline = Flowline.define(name: "import") do
  #     step(:fetch) { [1, 2] }
  #     step(:load, depends_on: :fetch) { |rows| rows.sum }
  #   end
  #   pipeline.run[:load].output # => 3
  def self.define(**options, &block)
    Caller.may_define
    Pipeline.build(Definition.new(**options).read(&block)).tap { |pipeline| Pipeline.announce(pipeline) }
  end

  # Says what starts the runs of a block, for the history: {History::Run#trigger}. It is for programs that start runs for another one, such
  # as a scheduler or a consumer of messages. It holds in this thread, and for runs that a job, the web page or the command line starts
  # in the block it is +job+, +web+ or +cli+.
  #
  # @param kind [String, Symbol] a short word: a letter, then letters, digits and +_ . : -+, at most 40
  # @return [Object] what the block returns
  # @raise [ArgumentError] the kind is no such word, or there is no block
  # @example
  #   Flowline.trigger(:schedule) { Import.run(date: Date.today) }
  #   Flowline::History.runs(trigger: :schedule).first.trigger # => :schedule
  def self.trigger(kind, &block)
    raise ArgumentError, "give the block that starts runs" unless block

    Recording::Trigger.with(Recording::Trigger.check(kind), since: Recording::Trigger.since, &block)
  end
end

Flowline::Integrations::Railtie if defined?(Rails::Railtie)
