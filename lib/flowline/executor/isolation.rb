# frozen_string_literal: true

require "fileutils"
require "io/wait"
require "tmpdir"

module Flowline
  module Executor
    # Runs a block in a forked child, which can be ended whatever it does: native code that never returns, a loop
    # that rescues everything, a crash.
    # @api private
    class Isolation
      # A child that ended without an answer.
      class Died < StandardError
        include Error::Plain

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

      # Held while a child is forked.
      FORKING = Mutex.new
      # The ends of pipes that children hang on. A child closes those of others.
      LEASHES = {}.compare_by_identity
      # How often it looks whether a silent child is there at all.
      PAUSE = 0.05
      # Made beforehand, because an interruption may come while Ruby makes a Hash.
      ANYTIME = { Object => :immediate }.freeze
      private_constant :ANYTIME, :FORKING, :LEASHES, :PAUSE

      # @param grace [Numeric] seconds from TERM to KILL
      # @param contain [Boolean] whether what would end a whole process ends just the child
      # @return [Object] what the block returns
      # @raise [Exception] what the block raises; {Died}; {Error} where there is no +fork+
      def self.call(grace: Executor::GRACE, contain: true, &block)
        raise Error, "isolate: :process needs fork, which this platform does not have" unless ::Process.respond_to?(:fork)

        new(grace, contain).call(&block)
      end

      def initialize(grace, contain)
        @grace = grace
        @contain = contain
      end

      # @return [Object]
      def call(&block)
        folder = Dir.mktmpdir("flowline")
        Flowline.config.forking(:before) # It may be interrupted, and what it writes is flushed.
        value = Thread.handle_interrupt(Executor::Section::NEVER) { run(folder, block) }
        left = Dir.children(folder).any? # On purpose: others may be told of it.
        value
      ensure
        FileUtils.rm_rf(folder) if folder && !left
      end

      private

      def run(folder, block)
        reader, leash, pid = start(folder, block)
        kind, value = Thread.handle_interrupt(ANYTIME) { answer(reader, pid) }
        status = @status || reap(pid)
        signal(:KILL, pid) unless kind
        pid = nil
        raise Died, status, [] unless kind # No backtrace: ours would say nothing.

        kind == :value ? value : raise(value)
      ensure
        kill(pid) if pid
        LEASHES.delete(leash)
        [reader, leash].each { |io| io&.close }
      end

      # In the child it does not return.
      # @return [Array(IO, IO, Integer)] what the child sends, whose end it waits for, and its process
      def start(folder, block)
        flush
        child = FORKING.synchronize do
          reader, writer = IO.pipe(binmode: true)
          alive, leash = IO.pipe
          pid = fork
          (pid ? [writer, alive] : [reader, leash, *LEASHES.keys]).each(&:close)
          next Child.new(folder, writer, alive, @contain) unless pid

          lead(pid)
          LEASHES[leash] = true
          return [reader, leash, pid]
        rescue SystemCallError # There are no more processes, or descriptors.
          [reader, writer, alive, leash].each { |io| io&.close }
          raise
        end
        child.work(block)
      end

      # What was written to the descriptors themselves and waits: a child would write it again.
      def flush
        [STDOUT, STDERR].each(&:flush) # rubocop:disable Style/GlobalStdStream
      rescue IOError, SystemCallError
        nil
      end

      # Here as well as in the child: whoever is first.
      def lead(pid)
        ::Process.setpgid(pid, pid)
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
          else return [kind, facts.first.exception]
          end
        end
      rescue TypeError, ArgumentError, NameError => e
        [:error, Error::Remote.new("the step's answer cannot be read: #{e.message}").tap { |error| error.set_backtrace([]) }]
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
        ended = ::Process.wait2(pid, ::Process::WNOHANG)
        @status = ended&.last
        !ended.nil?
      rescue Errno::ECHILD # Somebody else was quicker.
        true
      end

      # @return [Process::Status, nil] nil: somebody else was quicker
      def reap(pid)
        Thread.handle_interrupt(ANYTIME) { ::Process.wait2(pid).last }
      rescue Errno::ECHILD
        nil
      end

      # The child and what it started.
      def kill(pid)
        signal(:TERM, pid)
        deadline = ::Process.clock_gettime(::Process::CLOCK_MONOTONIC) + @grace
        sleep(0.005) until (gone = ::Process.wait(pid, ::Process::WNOHANG)) || ::Process.clock_gettime(::Process::CLOCK_MONOTONIC) > deadline
      rescue Errno::ECHILD
        gone = true
      ensure
        signal(:KILL, pid)
        reap(pid) unless gone
      end

      def signal(name, pid)
        ::Process.kill(name, -pid)
      rescue SystemCallError
        nil # There is nobody left.
      end
    end
  end
end

# Before there are children, each of which would have to load them.
require_relative "isolation/child"
