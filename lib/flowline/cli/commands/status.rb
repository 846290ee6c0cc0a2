# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline status+: shows how the last run of every pipeline ended.
      class Status < StoreCommand
        include RunRecords

        # Its line in the list of commands.
        SUMMARY = "show the last run of every pipeline, step by step"
        # An example of a call.
        EXAMPLE = "flowline status --pipeline import"
        # Statuses of runs that did not fail.
        GOOD = %w[succeeded running].freeze
        STEP = %i[name status reason attempts started duration error].freeze
        private_constant :GOOD, :STEP

        private

        # Exits with 1 if a run that it shows has failed, for scripts and monitors.
        def work(arguments)
          status = super
          @failed ? 1 : status
        end

        def rows
          return [] unless store

          runs = @options[:pipeline] ? store.runs(@options[:pipeline], 1) : store.last_runs
          @failed = runs.any? { |run| !GOOD.include?(run.status) }
          runs.map { |run| row_of(run).merge(steps: store.steps(run.id).map { |step| step.to_h.slice(*STEP) }) }
        end

        def show(run)
          @out.puts(headline(run))
          run[:steps].each do |step|
            time = step[:duration] ? format("%.2fs", step[:duration]) : step[:reason].to_s
            mark = Reporter::Console::MARKS.fetch(step[:status].to_sym)
            @out.puts("  #{mark} #{Name.show(step[:name]).ljust(20)}  #{step[:status].ljust(9)}  #{time}".rstrip)
          end
          show_errors(run)
        end

        def show_errors(run)
          errors = run[:steps].map { |step| step[:error] } - [run[:error]]
          lines = run[:error].to_s.delete_suffix(CancelledError::ADVICE).lines(chomp: true).first(3).reject(&:empty?)
          lines += errors.compact.map { |error| error.lines.first.chomp }
          lines.each { |line| @out.puts("  #{Name.show(line)}") }
        end
      end
    end
  end
end
