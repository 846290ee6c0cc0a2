# frozen_string_literal: true

module Flowline
  module Testing
    class Crashes
      # One run in a forked child.
      # @api private
      class Child
        # The seconds that a run may take.
        LIMIT = 120
        private_constant :LIMIT

        # The end of the run: whether it succeeded, the value that is compared, its error as a text, and the moments that it
        # has passed; or that it was killed.
        Answer = Struct.new(:success, :value, :error, :moments, :killed) do
          # @return [Boolean]
          def success? = success

          # @return [Boolean]
          def killed? = killed
        end

        # Writes which steps are called.
        Calls = Struct.new(:file) do
          # @param attempt [Execution::Attempt]
          # @return [void]
          def call(attempt)
            file.write("#{["called", attempt.step.name, attempt.index].compact.join("\t")}\n") if attempt.number == 1
            yield
          end
        end
        private_constant :Calls

        # @param root [String] the store
        # @return [String] the file with the calls of steps and with what was recorded
        def self.calls(root)
          File.join(root, "calls")
        end

        # @param pipeline [Pipeline]
        # @param root [String] the store
        # @param arguments [Hash] as for {Pipeline#run}
        # @param kill_at [Integer, nil] the moment at which it is killed
        # @param before [#call, nil]
        # @param compared [#call]
        def initialize(pipeline, root, arguments, kill_at:, before:, compared:)
          @pipeline = pipeline
          @root = root
          @arguments = arguments
          @kill_at = kill_at
          @before = before
          @compared = compared
        end

        # @return [Answer]
        # @raise [Error] the run takes too long
        def call
          Flowline.config.forking(:before)
          pid = ::Process.fork { answer }
          _, status = wait(pid)
          moments = File.readlines(moments_file, chomp: true)
          return Answer.new(false, nil, nil, moments, true) if status.termsig == Signal.list["KILL"] && @kill_at

          success, value, error = read(status)
          Answer.new(success, value, error, moments, false)
        end

        private

        def wait(pid)
          deadline = Clock.now + LIMIT
          until (ended = ::Process.wait2(pid, ::Process::WNOHANG))
            raise Error, "crash_everywhere: a run has not ended within #{LIMIT} seconds" if Clock.now > deadline

            sleep(0.002)
          end
          ended
        ensure
          unless ended
            ::Process.kill(:KILL, pid)
            ::Process.wait(pid)
          end
        end

        # @return [Array(Boolean, Object, String)]
        def read(status)
          return [false, nil, "its process died: #{status}"] unless File.exist?(answer_file)

          Marshal.load(File.binread(answer_file)) # rubocop:disable Security/MarshalLoad -- our own child wrote it
        end

        # In the child.
        def answer
          Flowline.config.forking(:after)
          File.binwrite(answer_file, Marshal.dump(outcome))
        rescue Exception => e # rubocop:disable Lint/RescueException -- whatever it is, the parent says it
          File.binwrite(answer_file, Marshal.dump([false, nil, Error.account(e)]))
        ensure
          [$stdout, $stderr].each(&:flush)
          exit!(0)
        end

        def outcome
          @before&.call
          prepare
          result = @pipeline.run(**@arguments)
          [result.success?, (@compared.call(result) if result.success?), result.error&.message]
        end

        def prepare
          Flowline.config.replace(store: true, root: @root)
          calls, moments = [Child.calls(@root), moments_file].map { |path| File.open(path, "a").tap { |file| file.sync = true } }
          moments.truncate(0)
          Flowline.config.middleware.prepend(Calls.new(calls))
          passed = -1
          Moments.observe do |moment, recorded|
            calls.write("#{recorded.join("\t")}\n") if recorded
            moments.write("#{moment}\n")
            ::Process.kill(:KILL, ::Process.pid) && sleep if (passed += 1) == @kill_at
          end
        end

        def moments_file
          File.join(@root, "moments")
        end

        def answer_file
          File.join(@root, "answer")
        end
      end
    end
  end
end
