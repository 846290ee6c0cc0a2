# frozen_string_literal: true

# Methods for examples that define pipelines.
module Definitions
  # @return [Flowline::Error] what the block raises; the example fails if it raises no error of Flowline
  def error_of
    yield
  rescue Flowline::Error => e
    e
  else
    raise RSpec::Expectations::ExpectationNotMetError, "expected an error of Flowline's, but nothing was raised"
  end

  # @return [RSpec::Matchers::BuiltIn::RaiseError] for `expect { define … }.to refuse(/why/)`
  def refuse(message)
    raise_error(Flowline::DefinitionError, message)
  end

  # @return [String] +file:line+, that many lines below the line that asks
  def line(below = 0)
    location = caller_locations(1, 1).first
    "#{location.path}:#{location.lineno + below}"
  end

  # @return [Object] what the step of that name returned; the example fails if it did not succeed
  def output_of(pipeline, name, **arguments)
    pipeline.run!(**arguments)[name].output
  end
end

RSpec.configure { |config| config.include Definitions }
