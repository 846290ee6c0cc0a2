# frozen_string_literal: true

module Flowline
  module CLI
    # A reporter that tracks the progress of a run, for the message if its store fails.
    class Progress
      # Store failures after which earlier records are still intact.
      INTACT = %i[full device descriptors memory busy other].freeze
      # Outcomes whose outputs are recorded.
      RECORDED = %i[succeeded cached restored].freeze
      private_constant :INTACT, :RECORDED

      def initialize
        @recorded = []
      end

      # @param event [Event]
      # @return [void]
      def call(event)
        case event.name
        when :run_started
          @total = event.steps.size
          @context = event.context
        when :step_finished then @recorded << event.step.name if RECORDED.include?(event.result.status)
        end
      end

      # @param error [StoreError]
      # @param resume [String, nil] the command that resumes the run
      # @return [String] what happened, what is recorded and what is not, and what to do
      def account(error, resume)
        return error.message unless INTACT.include?(error.kind)

        full = error.kind == :full
        what = full ? "the disk is full" : error.what
        "store #{error.path}: #{what}; #{extent}; #{"make room, then " if full}#{@total && resume ? "resume with: #{resume}" : "run again"}"
      end

      # @param error [Exception] that ended the run
      # @return [String] its class, its message without secrets, and the user's line
      def words(error)
        location = Backtrace.clean(Backtrace.of(error))&.first&.[](/\A.+?:\d+/)&.delete_prefix("#{Dir.pwd}/")
        account = @context ? @context.mask(Error.account(error)) : TypeHints.kind(error) # Before the run has begun, secrets are not known.
        [account, *("(#{location})" if location)].join(" ")
      end

      private

      def extent
        return "the run did not start" unless @total
        return "no step of this run is recorded" if @recorded.empty?

        shown = @recorded.first(5).map { |name| Name.show(name) }.join(", ")
        shown += " and #{@recorded.size - 5} more" if @recorded.size > 5
        "#{@recorded.size} of #{@total} steps are recorded (#{shown}), the others are not"
      end
    end
  end
end
