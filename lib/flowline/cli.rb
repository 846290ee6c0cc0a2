# frozen_string_literal: true

require_relative "../flowline"

module Flowline
  # The command line. Results go to standard output, progress and errors to standard error.
  module CLI
    # Wrong usage: one line on standard error, exit status 2.
    class Usage < Error
    end

    # Something that was asked for does not exist: one line on standard error, exit status 1.
    class NotFound < Error
    end

    autoload :Advice, "#{__dir__}/cli/advice"
    autoload :Application, "#{__dir__}/cli/application"
    autoload :Background, "#{__dir__}/cli/background"
    autoload :Command, "#{__dir__}/cli/command"
    autoload :Commands, "#{__dir__}/cli/commands"
    autoload :Discard, "#{__dir__}/cli/discard"
    autoload :Dispatcher, "#{__dir__}/cli/dispatcher"
    autoload :Events, "#{__dir__}/cli/events"
    autoload :FileCommand, "#{__dir__}/cli/file_command"
    autoload :GivenValue, "#{__dir__}/cli/given_value"
    autoload :LoadFailure, "#{__dir__}/cli/load_failure"
    autoload :NamedPipeline, "#{__dir__}/cli/named_pipeline"
    autoload :Options, "#{__dir__}/cli/options"
    autoload :PipelineChoice, "#{__dir__}/cli/pipeline_choice"
    autoload :PipelineFile, "#{__dir__}/cli/pipeline_file"
    autoload :Progress, "#{__dir__}/cli/progress"
    autoload :ResumeCommand, "#{__dir__}/cli/resume_command"
    autoload :RunCommand, "#{__dir__}/cli/run_command"
    autoload :RunNames, "#{__dir__}/cli/run_names"
    autoload :RunRecords, "#{__dir__}/cli/run_records"
    autoload :RunningCommand, "#{__dir__}/cli/running_command"
    autoload :Session, "#{__dir__}/cli/session"
    autoload :Signals, "#{__dir__}/cli/signals"
    autoload :StoreCommand, "#{__dir__}/cli/store_command"
    autoload :WatchedBoard, "#{__dir__}/cli/watched_board"
    autoload :WatchedScreen, "#{__dir__}/cli/watched_screen"
    autoload :Unfinished, "#{__dir__}/cli/unfinished"

    class << self
      # @return [Float, nil] the time on the monotonic clock at which the program started
      # @api private
      attr_reader :since
    end

    # @param argv [Array<String>]
    # @param out [IO] for results
    # @param err [IO] for progress and errors
    # @param since [Float, nil] when the program started, on the monotonic clock
    # @return [Integer] the exit status: 0 success, 1 a step failed or something cannot be used, 2 wrong usage or
    #   definition, 75 locked by another run, 130 or 143 interrupted
    def self.start(argv, out: $stdout, err: $stderr, since: nil)
      @since = since
      Dispatcher.new(out, err).call(argv)
    end
  end
end
