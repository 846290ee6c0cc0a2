# frozen_string_literal: true

module Flowline
  module Store
    class SQLite
      # Runs that go on: what they show to other processes, what is asked of them, and their logs.
      # @api private
      module Live
        # Shows where a run stands, in place of what it showed before, and adds lines to its log.
        # @param run [Integer] its number
        # @param now [Float] seconds since 1970
        # @param body [String]
        # @param lines [Array<Array(Integer, Integer, Integer, String, Integer)>] as for {#log}
        # @return [Array<Request>] what was asked of it so far, in the order of time
        def show(run, now, body, lines = [], patience: PATIENCE)
          @native.show(run, now, body, lines, patience).map { |row| fill(Request, row) }
        end

        # @param run [Integer] its number
        # @return [Array(Float, String), nil] what a run that goes on, or has crashed, showed last, and when
        def shown(run)
          @native.shown(run, PATIENCE)
        end

        # Asks something of a run. Asking again changes nothing.
        # @param request [Request]
        # @return [void]
        def ask(request)
          @native.ask(request, PATIENCE)
        end

        # @param run [Integer] its number
        # @return [Array<Request>] in the order of time
        def requests(run, patience: PATIENCE)
          @native.requests(run, patience).map { |row| fill(Request, row) }
        end

        # Adds lines to the log of a run.
        # @param run [Integer] its number
        # @param lines [Array<Array(Integer, Integer, Integer, String, Integer)>] each is a step's position or -1, the number of
        #   the first line, how many lines there are, the lines, and how many of the first and of the last lines stay
        # @return [void]
        def log(run, lines, patience: PATIENCE)
          @native.log(run, lines, patience)
        end

        # @param run [Integer] its number
        # @param step [Integer, nil] its position; nil: of all
        # @param after [Integer] the number of the last chunk that was read before
        # @param last [Integer, nil] how many of the last chunks at most; nil: all
        # @return [Array<Lines>] in the order in which they were added
        def logs(run, step = nil, after: 0, last: nil)
          @native.logs(run, step, after, last || -1, PATIENCE).map { |row| fill(Lines, row) }
        end
      end
    end
  end
end
