# frozen_string_literal: true

require "rbconfig"

module Flowline
  module CLI
    # Runs a pipeline of a file in a process of its own, which goes on when the one that has started it ends.
    #
    # The params arrive through a pipe and not as arguments, because other users of the machine can read the arguments of a process.
    # @api private
    module Background
      CODE = "exit(Flowline::CLI::Background.work($stdin))"
      private_constant :CODE

      class << self
        # Starts a run.
        # @param job [Hash{Symbol => Object}] +file+ and the +pipeline+ in it, its +params+, the id of the run to +resume+ or nil, the
        #   +root+ of the store, and of the application what is +required+ and whether +rails+ is
        # @return [Integer] the number of the process
        def start(job)
          reader, writer = IO.pipe(binmode: true)
          pid = Process.spawn(RbConfig.ruby, "-I#{File.expand_path("../..", __dir__)}", "-rflowline/cli", "-e", CODE,
                              in: reader, out: File::NULL, pgroup: true)
          reader.close
          writer.write(Marshal.dump({ **job, params: Marshal.dump(job[:params]) })) # The file loads the classes of params.
          Process.detach(pid)
          pid
        ensure
          writer&.close
        end

        # Runs what another process has written.
        # @param input [IO]
        # @return [Integer] the exit status
        def work(input)
          job = Marshal.load(input.read) # rubocop:disable Security/MarshalLoad -- the process that has started this one wrote it
          input.reopen(File::NULL)
          file = PipelineFile.load(job[:file], Application.new(requires: job[:requires], rails: job[:rails]))
          _, pipeline = file.choose(job[:pipeline])
          Flowline.config.root = job[:root]
          options = { params: Marshal.load(job[:params]), capture: true, resume: job[:resume] }.compact # rubocop:disable Security/MarshalLoad
          result, = Signals.wait($stderr) { Recording::Trigger.with("web") { pipeline.start(**options) } }
          result.success? ? 0 : 1
        rescue Error => e
          warn("flowline: #{Text.plain(e.message)}")
          1
        end
      end
    end
  end
end
