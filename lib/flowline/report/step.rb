# frozen_string_literal: true

module Flowline
  class Report
    # A step: +after+ are the positions of its dependencies, nil if they are not known; +retries+ are
    # +[when an attempt ended, seconds until the next, error]+; +items+ and +output+ are texts; +uses+ are the names of pools, and +rate+
    # is a text; +optional+ says whether the run goes on without it; +wait+ is the
    # pool or the rate that it waited for; +why+ says why it was called; +log+ has the last lines of its log.
    # @api private
    Step = Struct.new(:name, :label, :group, :status, :reason, :attempts, :start, :duration, :error, :location, :description, :after,
                      :many, :retries, :items, :output, :uses, :rate, :optional, :wait, :why, :log, keyword_init: true) do
      # @return [Float, nil] when it ended
      def end
        start + duration.to_f if start
      end
    end
  end
end
