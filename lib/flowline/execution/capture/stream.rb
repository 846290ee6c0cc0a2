# frozen_string_literal: true

require "stringio"

module Flowline
  module Execution
    class Capture
      # The $stdout or $stderr while runs capture what their steps print. It prints as the stream in whose place it is, and adds what
      # the thread of such a step prints to the log.
      # @api private
      class Stream < StringIO
        LOCK = Mutex.new
        # The methods that are about the stream itself.
        PASSED = %i[flush fsync fdatasync sync sync= fileno to_i tty? isatty pid close closed? close_write reopen binmode
                    external_encoding internal_encoding set_encoding fcntl].freeze
        private_constant :LOCK, :PASSED

        @users = 0

        class << self
          # @return [void]
          def install
            LOCK.synchronize do
              @users += 1
              $stdout = new($stdout, :out) unless self === $stdout
              $stderr = new($stderr, :err) unless self === $stderr
            end
          end

          # The streams go back to their places, unless the program has put others there.
          # @return [void]
          def uninstall
            LOCK.synchronize do
              @users -= 1
              next if @users.positive?

              $stdout = $stdout.target while self === $stdout
              $stderr = $stderr.target while self === $stderr
            end
          end
        end

        # @return [IO]
        attr_reader :target

        # @param target [IO]
        # @param name [Symbol]
        def initialize(target, name)
          super()
          @target = target
          @name = name
        end

        PASSED.each do |method|
          define_method(method) do |*arguments, **options|
            answer = @target.public_send(method, *arguments, **options)
            answer.equal?(@target) ? self : answer # As +flush+, for a chain of calls.
          end
        end

        # @return [IO]
        def to_io
          @target.to_io
        end

        # Returns a copy with a stream of its own, which can be closed.
        # @return [Stream]
        def dup
          self.class.new(@target.dup, @name)
        end
        alias clone dup

        # @return [Integer] bytes
        def write(*texts)
          Capture.current&.note(@name, texts)
          @target.write(*texts)
        end

        # StringIO's own does not write.
        # @return [Object] what it was given
        def putc(given)
          write(Integer === given ? [given].pack("C") : given[0])
          given
        end

        # @return [Boolean]
        def respond_to_missing?(name, private = false)
          @target.respond_to?(name, private)
        end

        # Whatever else the stream can do.
        def method_missing(name, ...)
          @target.respond_to?(name) ? @target.public_send(name, ...) : super
        end
      end
    end
  end
end
