# frozen_string_literal: true

# Helpers for examples that run pipelines.
module Runs
  # Defines a pipeline in the bare form, and runs it.
  def run(define: {}, **options, &definition)
    Flowline.define(**define, &definition).run(**options)
  end

  # @return [Hash] by step, its outcome, with the reason if it has one
  def outcomes(result)
    result.steps.to_h { |step| [step.name, step.reason ? [step.status, step.reason] : step.status] }
  end

  # Logs every hook of a definition, steps by name.
  def log_hooks(definition, log)
    Flowline::Events::Hooks::NAMES.each do |hook|
      definition.public_send(hook) do |*facts|
        log << [hook, *facts.grep(Flowline::Step).map(&:name)]
      end
    end
  end

  # Runs a pipeline in a thread until its step has pushed into the queue, then calls the block with the thread.
  # @return [Thread] which has ended
  def disturb(pipeline, reached, **options)
    thread = Thread.new { pipeline.run(**options) }
    thread.report_on_exception = false
    reached.pop
    yield thread
    thread.tap { |t| t.join(10) || raise("the run does not end") }
  rescue Exception # rubocop:disable Lint/RescueException -- join raises what ended the thread
    thread
  end
end

RSpec.configure { |config| config.include Runs }
