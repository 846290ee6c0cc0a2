# frozen_string_literal: true

# Exceptions from outside from the moment when an outcome is recorded: raised at every return of a method of ours, in turn.
RSpec.describe "An exception from outside" do
  # Raised from outside.
  class Outside < Exception # rubocop:disable Lint/ConstantDefinitionInBlock
  end

  let(:own) { %w[execution events].map { |folder| File.expand_path("../../lib/flowline/#{folder}/", __dir__) } }

  # Runs the pipeline, and raises where Ruby looks for interrupts: at the nth return of a method after the recording of an outcome began.
  # @return [String, nil] where, if there was such a return
  def disturb(pipeline, number, **options)
    left = number
    recorded = place = nil
    trace = TracePoint.new(:call, :return) do |point|
      recorded ||= point.event == :call && point.method_id == :record
      next if !recorded || place || point.event == :call || !point.path.start_with?(*own) || (left -= 1).positive?

      place = "#{point.path}:#{point.lineno} #{point.method_id}"
      Thread.current.raise(Outside)
    end
    begin
      trace.enable(target_thread: Thread.current) { pipeline.run(**options) }
    rescue Outside
      nil
    end
    place
  end

  it "leaves the step of an outcome that is being recorded succeeded, and each observer notified of each step once" do
    pipeline = Flowline.define(name: "disturbed") do |p|
      p.after_step { nil }
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| 2 }
    end
    notified = []
    results = []
    reporter = lambda do |event|
      notified << event.step.name if event.name == :step_finished
      results << event.result if event.name == :run_finished
    end
    number = 0
    while (place = disturb(pipeline, number += 1, reporter: reporter, executor: :sequential))
      expect([place, notified.tally]).to eq([place, { a: 1, b: 1 }])
      expect([place, results.map { |result| result[:a].status }]).to eq([place, [:succeeded]])
      stored = Flowline::Store.existing(ENV.fetch("FLOWLINE_ROOT")).runs("disturbed", 1).first[:status]
      expect([place, stored.to_sym]).to eq([place, results.last.status])
      [notified, results].each(&:clear)
    end
    expect(number).to be > 50
  end
end
