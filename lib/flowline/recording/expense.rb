# frozen_string_literal: true

module Flowline
  module Recording
    # Finds the output that took longer to record than to make, so that the run can warn of it once.
    # @api private
    class Expense
      # Seconds of recording that nobody minds.
      FLOOR = 0.1
      UNITS = %w[bytes KB MB GB TB].freeze
      private_constant :FLOOR, :UNITS

      # @param step [Step] whose output was recorded
      # @param making [Float] seconds that its callable took
      # @param recording [Float] seconds that its record took
      # @param bytes [Integer] the size of the record
      # @return [void]
      def note(step, making, recording, bytes)
        return if bytes.zero? || recording < FLOOR || recording <= making || (@worst && @worst[2] >= recording)

        @worst = [step, making, recording, bytes]
      end

      # @return [String, nil] what to say about it; nil: there is none
      def warning
        return unless @worst

        step, making, recording, bytes = @worst
        format("the output of step %<name>s (%<size>s) took longer to record (%<recording>.2fs) than to make (%<making>.2fs); " \
               "checkpoint: false leaves it out of the record, and the step runs again on resume",
               name: Name.show(step.name), size: size(bytes), recording: recording, making: making)
      end

      private

      def size(bytes)
        power = bytes.zero? ? 0 : Math.log(bytes, 1000).floor.clamp(0, UNITS.size - 1)
        power.zero? ? "#{bytes} bytes" : format("%<number>.1f %<unit>s", number: bytes.fdiv(1000**power), unit: UNITS[power])
      end
    end
  end
end
