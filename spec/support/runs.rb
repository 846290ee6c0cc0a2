# frozen_string_literal: true

# What specs of runs share.
module Runs
  # Defines a pipeline in the bare form, and runs it.
  def run(define: {}, **options, &definition)
    Flowline.define(**define, &definition).run(**options)
  end

  # @return [Hash] by step, its outcome, with the reason if it has one
  def outcomes(result)
    result.steps.to_h { |step| [step.name, step.reason ? [step.status, step.reason] : step.status] }
  end

  # Makes a definition tell of every hook, steps by their names.
  def log_hooks(definition, log)
    Flowline::Hooks::NAMES.each do |hook|
      definition.public_send(hook) do |*facts|
        log << [hook, *facts.grep(Flowline::Step).map(&:name)]
      end
    end
  end

  # Runs it in a thread of its own until its step has put something into the queue, then does what the block says.
  # @return [Thread] ended
  def disturb(pipeline, reached, **options)
    thread = Thread.new { pipeline.run(**options) }
    thread.report_on_exception = false
    reached.pop
    yield thread
    thread.tap { |t| t.join(10) || raise("the run goes on and on") }
  rescue Exception # rubocop:disable Lint/RescueException -- join raises what ended the thread
    thread
  end
end

RSpec.configure { |config| config.include Runs }
