# frozen_string_literal: true

require "timeout"

# Ruby's Timeout, around a run and within its hooks and reporters.
RSpec.describe "Timeout" do
  let(:log) { [] }

  def pipeline(hook, &body)
    Flowline.define do |p|
      p.public_send(hook, &body) if hook
      p.after_step { |step| log << step.name }
      p.after_run { |result| log << result.status }
      p.step(:a) { 1 }
      p.step(:b, depends_on: :a) { |_| 2 }
    end
  end

  %i[sequential parallel].each do |executor|
    %i[after_step on_step_success after_run on_success].each do |hook|
      it "that expires in #{hook} is a warning, and silences no other hook: #{executor}" do
        result = pipeline(hook) { Timeout.timeout(0.02) { sleep } }.run(executor: executor)
        expect(result).to have_attributes(status: :succeeded, warnings: all(match(/hook #{hook} failed: Timeout::Error/)))
        expect(result.warnings).not_to be_empty
        expect(log).to eq(%i[a b succeeded])
      end

      it "around the run is raised when it expires in #{hook}, and the run ends in good order: #{executor}" do
        slow = pipeline(hook) { sleep(5) unless log.include?(:slept) || (log << :slept).nil? }
        expect { Timeout.timeout(0.2) { slow.run(executor: executor) } }.to raise_error(Timeout::Error)
        expect(log.last).to eq(hook.end_with?("run", "on_success") ? :succeeded : :cancelled)
        expect(log.count(:a)).to eq(1)
      end
    end

    it "that expires in a reporter leaves it out with a warning, and fails no step: #{executor}" do
      reporter = ->(event) { Timeout.timeout(0.02) { sleep } if event.name == :step_finished }
      result = pipeline(nil).run(executor: executor, reporter: reporter)
      expect(result).to have_attributes(status: :succeeded, warnings: [/reporter Proc failed and was left out: Timeout::Error/])
      expect(log).to eq(%i[a b succeeded])
    end
  end
end
