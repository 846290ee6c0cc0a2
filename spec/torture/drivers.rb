# frozen_string_literal: true

require_relative "driver"

module Torture
  module Drivers
    # The first run ever: it makes the store, and clears its outputs when it succeeds. Its records survive the loss of
    # power, which takes more system calls.
    class First < Driver
      called "first run"

      def prepare
        # There is no store yet.
      end

      private

      def attempt
        judge(Work.pipeline(NAME).run(durability: :power), NAME)
      end

      def bystander
        []
      end
    end

    # A run that fails.
    class Failing < Driver
      called "failing run"

      private

      def attempt
        Work.broken = true
        result = Work.pipeline(NAME).run
        return judge(result, NAME) unless result[:join].failed?

        Work.write("returned failed")
        "right"
      end

      # Checks that a run that returned is in the history.
      def resumed(name, started)
        returned = name == NAME && Work.lines.include?("returned failed")
        lost = returned && status_of(name) != "failed" ? [[:lost, "the end of the run"]] : []
        lost + super
      end
    end

    # A run that resumes a failed one, and keeps its outputs.
    class Resuming < Driver
      called "resume"

      def prepare
        super
        fail_run(NAME)
      end

      private

      def attempt
        judge(Work.pipeline(NAME, keep: true).run(resume: true), NAME)
      end

      def recorded_before
        Work::BEFORE_JOIN
      end
    end

    # A run from the beginning that replaces a failed one, and clears everything when it succeeds. The bystander
    # needs some of the same files.
    class Replacing < Driver
      called "new run"

      def prepare
        super
        fail_run(NAME)
      end

      private

      def attempt
        judge(Work.pipeline(NAME).run, NAME)
      end
    end

    # `Checkpoint#delete`.
    class Deleting < Driver
      called "Checkpoint#delete"

      def prepare
        super
        fail_run(NAME)
      end

      private

      def attempt
        Flowline::Checkpoint.latest(NAME).delete
        Work.write("deleted")
        "right"
      end

      # Resuming after a deletion starts from the beginning.
      def resumed(name, started)
        deleted = name == NAME && Work.lines.include?("deleted")
        found = deleted && Flowline::Checkpoint.latest(NAME) ? [[:wrong, "the checkpoint is still there"]] : []
        found + super
      end
    end

    # Commands that only read.
    class Looking < Driver
      called "flowline status, history"

      private

      def attempt
        out = StringIO.new
        codes = %w[status history].map { |command| Flowline::CLI.start([command], out: out, err: out) }
        return "refused: #{out.string}" if out.string.include?("flowline: store")

        codes.last.zero? && codes.first < 2 && out.string.scan(OTHER).size == 2 ? "right" : "exit #{codes}: #{out.string}"
      end
    end
  end
end
