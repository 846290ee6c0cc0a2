# frozen_string_literal: true

require_relative "flowline/backtrace"
require_relative "flowline/clock"
require_relative "flowline/version"
require_relative "flowline/errors"
require "flowline/flowline"
require_relative "flowline/caller"
require_relative "flowline/loading"
require_relative "flowline/name"
require_relative "flowline/type_hints"
require_relative "flowline/definition/options"
require_relative "flowline/execution/middleware"
require_relative "flowline/configuration"
require_relative "flowline/step"
require_relative "flowline/dag"
require_relative "flowline/definition"
require_relative "flowline/context"
require_relative "flowline/result"
require_relative "flowline/arguments"
require_relative "flowline/events"
require_relative "flowline/identity"
require_relative "flowline/planning"
require_relative "flowline/recording"
require_relative "flowline/execution"
require_relative "flowline/executor"
require_relative "flowline/pipeline"
require_relative "flowline/telemetry"

# Declarative data pipelines inside your own Ruby process: steps, their dependencies, and runs.
module Flowline
  # A first run of a few plain steps needs none of these. {Loading} loads what other runs need.
  autoload :Cache, "#{__dir__}/flowline/cache"
  autoload :Checkpoint, "#{__dir__}/flowline/checkpoint"
  autoload :Event, "#{__dir__}/flowline/event"
  autoload :ItemCounts, "#{__dir__}/flowline/item_counts"
  autoload :History, "#{__dir__}/flowline/history"
  autoload :Job, "#{__dir__}/flowline/job"
  autoload :Log, "#{__dir__}/flowline/log"
  autoload :Integrations, "#{__dir__}/flowline/integrations"
  autoload :Param, "#{__dir__}/flowline/param"
  autoload :Plan, "#{__dir__}/flowline/plan"
  autoload :Report, "#{__dir__}/flowline/report"
  autoload :Reporter, "#{__dir__}/flowline/reporter"
  autoload :Resumption, "#{__dir__}/flowline/resumption"
  autoload :Run, "#{__dir__}/flowline/run"
  autoload :State, "#{__dir__}/flowline/state"
  autoload :Store, "#{__dir__}/flowline/store"
  autoload :Text, "#{__dir__}/flowline/text"
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
