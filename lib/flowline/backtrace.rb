# frozen_string_literal: true

module Flowline
  # Leaves the frames of Flowline out of backtraces, so that they show the user's own code, unless
  # {Configuration#full_backtrace} says otherwise.
  # @api private
  module Backtrace
    # Frames of this library, and of Ruby's methods that are written in Ruby.
    OWN = ["#{__dir__}/", "#{__dir__}.rb", "<internal:"].freeze
    # Folders whose code is not the user's own.
    LIBRARIES = [RbConfig::CONFIG["rubylibprefix"], *(Gem.path if defined?(Gem))].freeze
    # Ruby's own +backtrace+, because a class may have another one, which fails or returns anything.
    RUBYS = Exception.instance_method(:backtrace)
    private_constant :OWN, :LIBRARIES, :RUBYS

    class << self
      # @param error [Exception]
      # @return [Array<String>, nil] its backtrace
      def of(error)
        frames = error.backtrace
        Array === frames && frames.all?(String) ? frames : RUBYS.bind_call(error)
      rescue StandardError
        RUBYS.bind_call(error)
      end

      # @param frames [Array<String>, nil] of an exception that user code has raised
      # @return [String, nil] +file:line+ of the user's own code
      def location(frames)
        frames = (frames || []).reject { |frame| frame.start_with?("<internal:") }
        frames = frames.drop_while { |frame| frame.start_with?(*OWN) }.take_while { |frame| !frame.start_with?(*OWN) }
        line = frames.find { |frame| !frame.start_with?(*LIBRARIES) } || frames.last
        line && line[/\A.+?:\d+/]
      end

      # @param frames [Array<String>, nil]
      # @return [Array<String>, nil] without the frames of Flowline
      def clean(frames)
        frames.nil? || Flowline.config.full_backtrace ? frames : frames.reject { |frame| frame.start_with?(*OWN) }
      end

      # Cleans the backtraces of an error and of its causes. An error of another thread also gets the frames of its caller.
      # @param error [Exception]
      # @param callers [Array<String>] the frames of the call that raises it
      # @return [Exception] the error
      def clean_all(error, callers)
        return error if Flowline.config.full_backtrace

        frames = clean(of(error)) || []
        callers = clean(callers)
        error.set_backtrace(frames.last == callers.last ? frames : frames + callers) unless error.frozen?
        causes(error).each { |cause| of(cause)&.then { |known| cause.set_backtrace(clean(known)) unless cause.frozen? } }
        error
      end

      private

      def causes(error, found = [])
        cause = Error === error ? error.cause : Error.cause_of(error)
        cause.nil? || found.any? { |known| known.equal?(cause) } ? found : causes(cause, found << cause)
      end
    end
  end
end
