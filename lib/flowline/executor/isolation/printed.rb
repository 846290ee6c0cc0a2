# frozen_string_literal: true

module Flowline
  module Executor
    class Isolation
      # The pipes that the standard output and the standard error of a child are, so that what native code and other programs write
      # there passes through the parent's $stdout and $stderr.
      # @api private
      class Printed
        # Bytes that are read at once.
        CHUNK = 1 << 16
        private_constant :CHUNK

        def initialize
          @readers = {}
          @writers = []
        end

        # @return [Array<IO>] those that are open
        def ios
          @readers.keys + @writers
        end

        # Opens the pipes, before the fork.
        # @return [void]
        def open
          %i[out err].each do |name|
            reader, writer = IO.pipe(binmode: true)
            @readers[reader] = name
            @writers << writer
          end
        end

        # Divides them, after the fork.
        # @param pid [Integer, nil] nil: this is the child
        # @return [void]
        def share(pid)
          unless pid
            [STDOUT, STDERR].zip(@writers) { |stream, writer| stream.reopen(writer) } # rubocop:disable Style/GlobalStdStream
            @readers.each_key(&:close)
          end
          @writers.each(&:close).clear
        end

        # Waits until another pipe can be read, and passes on what was written meanwhile.
        # @param other [IO]
        # @param seconds [Float]
        # @return [Array<IO>, nil] nil: none of them can be read
        def wait(other, seconds)
          ready, = IO.select([other, *@readers.keys], nil, nil, seconds)
          ready&.each { |io| read(io) if @readers.key?(io) }
          ready
        end

        # Passes on what is left. The child has ended; processes that it has started may write on.
        # @return [void]
        def pass_on
          @readers.keys.each { |io| read(io) while @readers.key?(io) && io.wait_readable(0) } # rubocop:disable Style/HashEachMethods -- it is changed
        rescue IOError, SystemCallError
          nil # The run has a result nevertheless.
        end

        private

        def read(io)
          chunk = io.read_nonblock(CHUNK, exception: false)
          return if chunk == :wait_readable

          return (@readers[io] == :out ? $stdout : $stderr).write(chunk) if chunk

          @readers.delete(io)
          io.close
        end
      end
    end
  end
end
