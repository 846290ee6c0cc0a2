# frozen_string_literal: true

module Flowline
  module Recording
    # The kind of caller that starts runs in a thread: +cli+, +rake+, +job+, +web+, +ruby+, or what {Flowline.trigger} names; which job it
    # is; and when it was called itself.
    # @api private
    module Trigger
      # The form of a kind. The id of a job follows it after a space.
      KIND = /\A[a-z][a-z0-9_.:-]{0,39}\z/i
      private_constant :KIND

      # @return [String]
      def self.current
        Thread.current.thread_variable_get(:flowline_trigger) || "ruby"
      end

      # @return [String] what is recorded of the caller: its kind, and the id of the job if there is one
      def self.recorded
        [current, *Thread.current.thread_variable_get(:flowline_job)].join(" ")
      end

      # @param id [String]
      # @return [String] what is recorded of runs that this job has started
      def self.job(id)
        "job #{id}"
      end

      # @param recorded [String, nil]
      # @return [Array(Symbol, String)] the kind of caller and the id of the job; nil each: it is not known, or there is none
      def self.parse(recorded)
        kind, id = recorded.to_s.split(" ", 2)
        [kind&.to_sym, id]
      end

      # @return [Float, nil] the time on the monotonic clock at which the caller was called, if that was earlier than the run
      def self.since
        Thread.current.thread_variable_get(:flowline_since)
      end

      # @param kind [String, Symbol]
      # @return [String]
      # @raise [ArgumentError] it does not look like one
      def self.check(kind)
        text = kind.to_s
        return text if (::String === kind || ::Symbol === kind) && text.ascii_only? && text.match?(KIND)

        raise ArgumentError, "a trigger is a short word such as schedule: a letter, then letters, digits and _ . : -, 40 at most; not #{kind.inspect}"
      end

      # Calls the block, in which runs are started by this kind of caller.
      # @param name [String]
      # @param job [String, nil] the id of the job
      # @param since [Float, nil] when the caller was called, on the monotonic clock
      # @return [Object] what the block returns
      def self.with(name, job: nil, since: nil)
        names = %i[flowline_trigger flowline_job flowline_since]
        before = names.map { |variable| Thread.current.thread_variable_get(variable) }
        set(names, [name, job, since])
        yield
      ensure
        set(names, before)
      end

      def self.set(names, values)
        names.zip(values) { |name, value| Thread.current.thread_variable_set(name, value) }
      end
      private_class_method :set
    end
  end
end
