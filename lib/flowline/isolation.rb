# frozen_string_literal: true

require "fileutils"
require "io/wait"
require "stringio"
require "tmpdir"

module Flowline
  # Runs a block in a forked child, which can be ended whatever it does: native code that never returns, a loop
  # that rescues everything, a crash.
  # @api private
  class Isolation
    # A child that ended without an answer.
    class Died < StandardError
      # @param status [Process::Status, nil] nil: somebody else has waited for it
      # @api private
      def initialize(status)
        how = if status&.signaled?
                name = "SIG#{Signal.signame(status.termsig)}"
                "was killed by #{name}#{" (out of memory?)" if name == "SIGKILL"}"
              else
                "ended#{" with status #{status.exitstatus}" if status} before it answered"
              end
        super("the step's process #{how}")
      end
    end

    # A signal that somebody sent to the child.
    class Killed < SignalException
    end
    private_constant :Killed

    # An exception that cannot come over as it is.
    class RemoteError < StandardError
    end

    # What +$stdout+ and +$stderr+ are in the child: what is written goes to the parent, in order.
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
        text = texts.join
        @send.call(@name, text)
        text.bytesize
      end

      # What was written before comes first.
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
    end

    # Held while a child is forked, so that no other inherits what is its own alone.
    FORKING = Mutex.new
    # How often it looks whether a silent child is there at all.
    PAUSE = 0.05
    private_constant :FORKING, :PAUSE

    # @param grace [Numeric] seconds from TERM to KILL
    # @param contain [Boolean] whether what would end a whole process ends just the child
    # @return [Object] what the block returns
    # @raise [Exception] what the block raises; {Died}; {Error} where there is no +fork+
    def self.call(grace: Executor::GRACE, contain: true, &block)
      raise Error, "isolate: :process needs fork, which this platform does not have" unless Process.respond_to?(:fork)

      new(grace, contain).call(&block)
    end

    def initialize(grace, contain)
      @grace = grace
      @contain = contain
    end

    # @return [Object]
    def call(&block)
      folder = Dir.mktmpdir("flowline")
      Thread.handle_interrupt(Object => :never) { run(folder, block) }
    ensure
      FileUtils.rm_rf(folder) if folder
    end

    private

    def run(folder, block)
      reader, leash, pid = start(folder, block)
      kind, value = Thread.handle_interrupt(Object => :immediate) { answer(reader, pid) }
      status = @status || reap(pid)
      signal(:KILL, pid) unless kind
      pid = nil
      raise Died, status, [] unless kind # It says nothing of where.

      kind == :value ? value : raise(value)
    ensure
      kill(pid) if pid
      [reader, leash].each { |io| io&.close }
    end

    # What the child writes to, and whose end it waits for, are closed here.
    def start(folder, block)
      flush
      Flowline.config.forking(:before)
      FORKING.synchronize do
        reader, writer = IO.pipe(binmode: true)
        alive, leash = IO.pipe
        pid = fork or next [folder, writer, alive, block]
        lead(pid)
        return [reader, leash, pid]
      ensure
        (pid ? [writer, alive] : [reader, leash]).each { |io| io&.close }
      end.then { |given| child(*given) }
    end

    # What was written to the descriptors themselves and waits: a child would write it again.
    def flush
      [STDOUT, STDERR].each(&:flush) # rubocop:disable Style/GlobalStdStream
    rescue IOError, SystemCallError
      nil
    end

    # Here as well as in the child: whoever is first.
    def lead(pid)
      Process.setpgid(pid, pid)
    rescue SystemCallError
      nil
    end

    # Reads what the child sends until it answers or ends.
    def answer(reader, pid)
      buffer = "".b
      loop do
        size = receive(reader, pid, buffer, 8)&.unpack1("Q")
        frame = size && receive(reader, pid, buffer, size) or return
        kind, *facts = Marshal.load(frame) # rubocop:disable Security/MarshalLoad -- from our own child
        case kind
        when :out then $stdout.write(*facts)
        when :err then $stderr.write(*facts)
        when :flush then $stdout.flush
        when :value then return [kind, *facts]
        else return [kind, restore(*facts)]
        end
      end
    rescue TypeError, ArgumentError, NameError => e
      [:error, restore("the step's answer cannot be read: #{e.message}")]
    end

    # What the child has started may hold its end of the pipe for long: what is there when the child is gone is all.
    # @return [String, nil] so many bytes; nil: there will be no more
    def receive(reader, pid, buffer, size)
      while buffer.bytesize < size
        chunk = reader.read_nonblock(1 << 16, exception: false)
        if chunk == :wait_readable
          return if @gone

          reader.wait_readable(PAUSE) || (@gone = gone?(pid))
        else
          buffer << (chunk || return)
        end
      end
      buffer.slice!(0, size)
    end

    # @return [Boolean] whether the child has ended
    def gone?(pid)
      ended = Process.wait2(pid, Process::WNOHANG)
      @status = ended&.last
      !ended.nil?
    rescue Errno::ECHILD # Somebody else was quicker.
      true
    end

    # Its class may be one that only the child has loaded.
    def restore(words, backtrace = nil, bytes = nil, cause = nil)
      return Marshal.load(bytes) if bytes # rubocop:disable Security/MarshalLoad

      raise RemoteError, words, backtrace || [], cause: cause && restore(*cause)
    rescue RemoteError => e
      e
    rescue StandardError
      restore(words, backtrace)
    end

    # @return [Process::Status, nil] nil: somebody else was quicker
    def reap(pid)
      Thread.handle_interrupt(Object => :immediate) { Process.wait2(pid).last }
    rescue Errno::ECHILD
      nil
    end

    # The child and what it started.
    def kill(pid)
      signal(:TERM, pid)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + @grace
      sleep(0.005) until (gone = Process.wait(pid, Process::WNOHANG)) || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    rescue Errno::ECHILD
      gone = true
    ensure
      signal(:KILL, pid)
      reap(pid) unless gone
    end

    def signal(name, pid)
      Process.kill(name, -pid)
    rescue SystemCallError
      nil # There is nobody left.
    end

    def child(folder, writer, alive, block)
      Process.setpgid(0, 0)
      %w[INT TERM].each { |signal| trap(signal) { raise Killed, signal } }
      ENV["TMPDIR"] = folder
      Thread.new { leave_with_parent(alive) }.report_on_exception = false # A step may close what it likes.
      guard = Mutex.new
      # One that cannot be dumped must not have been sent in part.
      send = lambda do |*frame|
        bytes = Marshal.dump(frame)
        guard.synchronize { writer.write([bytes.bytesize].pack("Q"), bytes) && writer.flush }
      end
      $stdout = Stream.new(:out, send)
      $stderr = Stream.new(:err, send)
      Thread.handle_interrupt(Object => :immediate) { respond(send, block) }
      flush
    ensure
      exit!(0)
    end

    # When the parent is gone, so is its end of this pipe.
    def leave_with_parent(alive)
      alive.read
      Process.kill(:KILL, 0)
    end

    # A process that the step forks may leave through here as well, and answers nothing.
    def respond(send, block)
      Flowline.config.forking(:after)
      own = Process.pid
      value = block.call
      returned = true
      send.call(:value, value) if Process.pid == own
    rescue Exception => e # rubocop:disable Lint/RescueException -- the parent gets to know
      exit!(SystemExit === e ? e.status : 1) unless [nil, Process.pid].include?(own)

      send.call(:error, *(returned ? ["its output cannot leave its process: #{Error.words(e)}"] : portable(e)))
    ensure
      send.call(:error, "it left its block by return, break or throw; use `next`") unless returned || e || Process.pid != own
    end

    # The result of a run within the step holds all of that run.
    def lighten(error)
      while error
        error.result = nil if Error === error
        error = error.cause
      end
    end

    # What the parent can make of it: words in any case, the exception itself where it means the step and not its process.
    def portable(error)
      words = "#{TypeHints.kind(error)}: #{Error.words(error)}"
      return ["the step's process was killed by #{error.message}"] if Killed === error

      if @contain
        return ["the step called exit", error.backtrace] if SystemExit === error
        return [words, error.backtrace] if SignalException === error || NoMemoryError === error
      end
      lighten(error)
      [words, error.backtrace, Marshal.dump(error)]
    rescue StandardError
      [words, error.backtrace, nil, (portable(error.cause) if error.cause)]
    end
  end
end
