# frozen_string_literal: true

# How the coordinator of a run, the pools and the attempts work together.
RSpec.describe "The centre of a run" do
  %i[sequential parallel process].each do |executor|
    it "counts the time of a step from its call under :#{executor}, however long a reporter takes" do
      slow = ->(event) { sleep(0.3) if event.name == :step_started && event.step.name == :a }
      pipeline = Flowline.define { |p| %i[a b].each { |name| p.step(name) { sleep(0.2) } } }
      result = pipeline.run(executor: executor, max_threads: 2, max_processes: 2, reporter: slow)
      expect(result.steps.map(&:duration)).to all(be_between(0.19, 1))
    end
  end
end
