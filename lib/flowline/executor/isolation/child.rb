# frozen_string_literal: true

require "stringio"

module Flowline
  module Executor
    class Isolation
      # The forked child. It calls the block, sends its output and its result to the parent, and exits.
      # @api private
      class Child
        # The +$stdout+ and +$stderr+ of the child: they send the text to the parent, in order.
        class Stream < StringIO
          # @param name [Symbol]
          # @param send [#call]
          def initialize(name, send)
            super()
            @name = name
            @send = send
          end

          # @return [Integer] bytes
          def write(*texts)
            text = joined(texts)
            @send.call(@name, text)
            text.bytesize
          end

          # Returns the descriptor that other processes inherit instead of this object.
          # @return [IO]
          def to_io
            @name == :out ? STDOUT : STDERR # rubocop:disable Style/GlobalStdStream
          end

          # Makes the parent flush the text that it has received, so that the order is preserved.
          def flush
            @send.call(:flush)
            self
          end

          # StringIO's own does not write.
          # @return [Object] what it was given
          def putc(given)
            write(Integer === given ? [given].pack("C") : given[0])
            given
          end

          private

          def joined(texts)
            texts.join
          rescue ::EncodingError
            texts.map { |text| text.to_s.b }.join
          end
        end

        # A signal that was sent to the child.
        class Killed < SignalException
        end
        private_constant :Killed

        # @param folder [String] where its temporary files go
        # @param writer [IO] where it answers
        # @param alive [IO] a pipe that ends with its parent
        # @param contain [Boolean] whether an exception that would end a whole process ends only the child
        # @param printed [Boolean] whether its descriptors are pipes to its parent
        def initialize(folder, writer, alive, contain, printed)
          @folder = folder
          @writer = writer
          @alive = alive
          @contain = contain
          @printed = printed
        end

        # Sends a frame. The frame is dumped first, so that none is sent in part if it cannot be dumped.
        # @return [void]
        def send_frame(*frame)
          bytes = Marshal.dump(frame)
          @turn.synchronize { @writer.write([bytes.bytesize].pack("Q"), bytes) && @writer.flush }
        end

        # Calls the block and exits; never returns.
        # @param block [#call]
        def work(block)
          settle_in
          Thread.handle_interrupt(Object => :immediate) { respond(block) }
          [STDOUT, STDERR].each(&:flush) # rubocop:disable Style/GlobalStdStream
        ensure
          exit!(0)
        end

        private

        def settle_in
          ::Process.setpgid(0, 0)
          %w[INT TERM].each { |signal| trap(signal) { raise Killed, signal } }
          %w[TTIN TTOU].each { |signal| trap(signal, "IGNORE") } # The terminal is the parent's: reads fail and do not stop the child.
          ENV["TMPDIR"] = @folder
          @own = ::Process.pid
          @turn = Mutex.new
          Native.watch_parent(@alive.fileno, @folder)
          @inherited = Descriptors.list.to_a
          Thread.new { loop { sleep(3600) } } # Without it, Ruby reports a deadlock when a step waits forever.
          $stdout, $stderr = streams
        end

        def streams
          return %i[out err].map { |name| Stream.new(name, method(:send_frame)) } unless @printed

          [STDOUT, STDERR].each { |stream| stream.sync = true } # rubocop:disable Style/GlobalStdStream
        end

        # A process that the step forks may leave through here as well, and answers nothing.
        def respond(block)
          Flowline.config.forking(:after)
          value = carry(&block)
          return unless own?

          flush_opened
          remove_tempfiles
          returned = true
          send_frame(:value, value)
        rescue Exception => e # rubocop:disable Lint/RescueException -- the parent gets to know
          exit!(SystemExit === e ? e.status : 1) unless own?

          send_frame(:error, Error::Portable.new(returned ? unsent(e) : answer(e)))
        ensure
          send_frame(:error, Error::Portable.new(remote("it left its block by return, break or throw; use `next`"))) if own? && !returned && e.nil?
        end

        # Calls the block, and sends what the carriers have by then, whatever the block came to.
        def carry
          Isolation.carriers.each { |carrier| prepare(carrier) }
          yield
        ensure
          Isolation.carriers.each { |carrier| send_news(carrier) } if own?
        end

        # No carrier fails the step.
        def prepare(carrier)
          carrier.enter
        rescue StandardError
          nil # Then it has nothing to send.
        end

        def send_news(carrier)
          news = carrier.leave
          send_frame(:news, carrier, news) if news
        rescue StandardError
          nil # It cannot be dumped. The step is not to blame.
        end

        def unsent(error)
          remote("its output cannot leave its process: #{Error.words(error)[/.*/]}; return data, or the path of a file")
        end

        def own?
          ::Process.pid == @own
        end

        # @return [Exception] what an exception means for the step and not only for its process
        def answer(error)
          flush_opened(quietly: true)
          return remote("the step's process was killed by #{error.message}") if Killed === error
          return error unless @contain

          case error
          when SystemExit then remote("the step called exit", error)
          when SignalException, NoMemoryError then remote(Error.account(error), error)
          else error
          end
        end

        def remote(words, cause = nil)
          raise Error::Remote, words, (cause && Backtrace.of(cause)) || [], cause: cause
        rescue Error::Remote => e
          e
        end

        # Flushes what the step has written: to IOs that the child has opened and not closed, and to files that were open before,
        # whose buffers were empty when it was forked. Other inherited IOs belong to the parent.
        def flush_opened(quietly: false)
          open = Descriptors.list
          opened = open.to_a - @inherited
          ObjectSpace.each_object(IO) { |io| io.flush if opened.include?(descriptor(io)) } if opened.any?
          Descriptors.flush_files(open)
        rescue IOError, SystemCallError
          raise unless quietly # The step has failed already.
        end

        # Removes the Tempfiles, which are deleted with their process. Files of `Tempfile.create` and `Dir.mktmpdir` stay.
        def remove_tempfiles
          return if !defined?(::Tempfile) || !Dir.exist?(@folder) || Dir.empty?(@folder)

          ObjectSpace.each_object(::Tempfile) { |file| file.close! if path(file)&.start_with?(@folder) }
        end

        # @return [String, nil] nil: it was removed, or has no file since its +new+ was interrupted or failed
        def path(tempfile)
          tempfile.path
        rescue NoMethodError
          nil
        end

        def descriptor(io)
          io.fileno
        rescue IOError # It is closed, or not open yet.
          nil
        end
      end
    end
  end
end
