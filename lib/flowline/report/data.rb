# frozen_string_literal: true

module Flowline
  class Report
    # A run as a report shows it, from whatever knows it: times are seconds from its start, texts have no secrets. +runs+ are
    # earlier runs of its pipeline, the latest first, as +[run id, status, Time, seconds, whole]+; +other+ is the one it is compared with, and
    # +changes+ returns what has changed about a step since then. +address+ is that of the run's page, below which its steps have pages;
    # nil: the report is a page of one file.
    # @api private
    Data = Struct.new(:pipeline, :run_id, :status, :started_at, :duration, :params, :trigger, :resumed, :error, :warnings, :steps,
                      :groups, :location, :runs, :other, :changes, :address, keyword_init: true) do
      # @return [Float] seconds: the time that the report shows, of a run that goes on or has crashed as long as is known
      def length
        @length ||= [duration.to_f, *steps.filter_map(&:end)].max
      end

      # @return [Hash{Symbol => Integer}] how many steps there are in each status, the most important status first
      def counts
        tally = steps.map(&:status).tally
        Data::ORDER.filter_map { |status| [status, tally[status]] if tally.key?(status) }.to_h
      end

      # @param at [Integer] the position of a step
      # @return [String] the address of its page, or of its row in the table
      def link(at)
        address ? "#{address}/steps/~#{at}" : "#s#{at}"
      end

      # @return [Hash{String => Step}] by name
      def by_name
        @by_name ||= steps.to_h { |step| [step.name, step] }
      end
    end

    # The statuses of steps, those first that deserve attention.
    Data::ORDER = %i[failed timed_out running waiting cancelled pending succeeded cached restored skipped].freeze
  end
end
