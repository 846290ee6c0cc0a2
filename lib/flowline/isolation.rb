# frozen_string_literal: true

require "fileutils"
require "tmpdir"

module Flowline
  # Runs a block in a forked child, which can be ended whatever it does: native code that never returns, a loop
  # that rescues everything, a crash.
  # @api private
  class Isolation
    # A child that ended without an answer.
    class Died < StandardError
      # @param status [Process::Status]
      # @api private
      def initialize(status)
        how = if status.signaled?
                name = "SIG#{Signal.signame(status.termsig)}"
                "was killed by #{name}#{" (out of memory?)" if name == "SIGKILL"}"
              else
                "exited with status #{status.exitstatus} before it answered"
              end
        super("the step's process #{how}")
      end
    end

    # An exception that cannot come over as it is.
    class RemoteError < StandardError
    end

    # What +$stdout+ and +$stderr+ are in the child: what is written goes to the parent, in order.
    class Stream
      # @param name [Symbol]
      # @param send [#call]
      def initialize(name, send)
        @name = name
        @send = send
      end

      # @return [Integer] bytes
      def write(*texts)
        text = texts.join
        @send.call(@name, text)
        text.bytesize
      end

      # @return [self]
      def <<(text)
        write(text)
        self
      end

      # @return [self]
      def flush
        self
      end

      # @return [Boolean]
      def sync
        true
      end

      # @return [Boolean]
      def tty?
        false
      end
      alias sync= then
      alias isatty tty?

      %i[print puts printf putc].each do |name|
        define_method(name) do |*given|
          text = ::StringIO.new
          text.public_send(name, *given)
          write(text.string)
          nil
        end
      end
    end

    # @param grace [Numeric] seconds from TERM to KILL
    # @return [Object] what the block returns
    # @raise [Exception] what the block raises; {Died}; {Error} where there is no +fork+
    def self.call(grace: 2.0, &block)
      raise Error, "isolate: :process needs fork, which this platform does not have" unless Process.respond_to?(:fork)

      require "stringio"
      new(grace).call(&block)
    end

    def initialize(grace)
      @grace = grace
    end

    # @return [Object]
    def call(&block)
      Dir.mktmpdir("flowline") do |folder|
        Thread.handle_interrupt(Object => :never) do
          run(folder, block)
        end
      end
    end

    private

    def run(folder, block)
      reader, writer = IO.pipe(binmode: true)
      alive, leash = IO.pipe
      pid = fork do
        [reader, leash].each(&:close)
        child(folder, writer, alive, block)
      end
      lead(pid)
      [writer, alive].each(&:close)
      kind, value = Thread.handle_interrupt(Object => :immediate) { answer(reader) }
      status = reap(pid)
      pid = nil
      raise Died, status, [] unless kind # It says nothing of where.

      kind == :value ? value : raise(value)
    ensure
      kill(pid) if pid
      [reader, writer, alive, leash].each { |io| io&.close }
    end

    # Here as well as in the child: whoever is first.
    def lead(pid)
      Process.setpgid(pid, pid)
    rescue SystemCallError
      nil
    end

    # Reads what the child sends until it answers or ends.
    def answer(reader)
      loop do
        kind, text = Marshal.load(reader) # rubocop:disable Security/MarshalLoad -- from our own child
        case kind
        when :out then $stdout.write(text)
        when :err then $stderr.write(text)
        else return [kind, text]
        end
      end
    rescue EOFError, TypeError, ArgumentError => e
      EOFError === e || e.message.include?("too short") ? nil : [:error, RemoteError.new("the step's answer cannot be read: #{e.message}")]
    end

    def reap(pid)
      Thread.handle_interrupt(Object => :immediate) { Process.wait2(pid).last }
    end

    # The child and what it started.
    def kill(pid)
      Process.kill(:TERM, -pid)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + @grace
      until Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
        return if Process.wait(pid, Process::WNOHANG)

        sleep(0.005)
      end
      Process.kill(:KILL, -pid)
      Process.wait(pid)
    rescue Errno::ESRCH, Errno::ECHILD
      nil
    end

    def child(folder, writer, alive, block)
      Process.setpgid(0, 0)
      %w[INT TERM].each { |signal| trap(signal, "DEFAULT") }
      ENV["TMPDIR"] = folder
      Thread.new { leave_with_parent(alive) }
      guard = Mutex.new
      send = ->(*frame) { guard.synchronize { Marshal.dump(frame, writer) && writer.flush } }
      $stdout = Stream.new(:out, send)
      $stderr = Stream.new(:err, send)
      Thread.handle_interrupt(Object => :immediate) { respond(send, block) }
      [STDOUT, STDERR].each(&:flush) # rubocop:disable Style/GlobalStdStream -- the descriptors themselves
    ensure
      exit!(0)
    end

    # When the parent is gone, so is its end of this pipe.
    def leave_with_parent(alive)
      alive.read
      Process.kill(:KILL, 0)
    end

    def respond(send, block)
      value = block.call
    rescue Exception => e # rubocop:disable Lint/RescueException -- the parent gets to know
      error = SystemExit === e ? RemoteError.new("the step called exit") : e
      send.call(:error, portable(error))
    else
      begin
        send.call(:value, value)
      rescue TypeError, ArgumentError => e
        send.call(:error, RemoteError.new("its output cannot leave its process: #{e.message}"))
      end
    end

    def portable(error)
      Marshal.load(Marshal.dump(error))
    rescue StandardError
      RemoteError.new("#{error.class}: #{Error.words(error)}").tap { |stand_in| stand_in.set_backtrace(error.backtrace) }
    end
  end
end
