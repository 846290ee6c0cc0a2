# frozen_string_literal: true

module Flowline
  module Telemetry
    # The ids of the spans of a run. They are digests of the run's id, which is made of random bytes that no program can seed.
    # So spans of a run have the same ids whenever they are sent: while it runs, later from history, or twice; and a run that
    # resumes it can link to it.
    # @api private
    class Ids
      # @return [String] 32 hexadecimal digits
      attr_reader :trace

      # @param run_id [String]
      # @param parent [TraceParent, nil]
      def initialize(run_id, parent = nil)
        @run_id = run_id
        @trace = parent ? parent.trace_id : digest("trace", size: 32)
      end

      # @return [String] 16 hexadecimal digits
      def run
        digest("run")
      end

      # @param name [String] of the step
      # @return [String] 16 hexadecimal digits
      def step(name)
        digest("step", name)
      end

      # @param name [String] of the step
      # @param item [Integer, nil]
      # @param number [Integer]
      # @return [String] 16 hexadecimal digits
      def attempt(name, item, number)
        digest("attempt", name, item, number)
      end

      private

      # Names have the same digest in any encoding.
      def digest(*subject, size: 16)
        Native.digest([@run_id, *subject].map { |part| Error.text(part) }.join("\0"))[0, size]
      end
    end
  end
end
