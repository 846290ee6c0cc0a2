# frozen_string_literal: true

require "fileutils"
require "io/wait"
require "tmpdir"
require_relative "isolation/descriptors"
require_relative "isolation/printed"

module Flowline
  module Executor
    # Runs a block in a forked child, which can be ended whatever it does: native code that never returns, a loop
    # that rescues everything, a crash.
    #
    #     parent                                    child, which leads a process group
    #     ──────                                    ─────
    #     flush, fork ─────────────────────────────> settle_in ── block
    #     read frames <── :out :err :flush :log ────  what it prints and logs, in order
    #                 <── :news ────────────────────  what carriers bring
    #                 <── :value or :error ─────────  exit!
    #     reap, kill its group                       (a native thread kills it if the parent is gone)
    #
    # The child has everything of the parent without copying, and comes back as data: what it returns has to be marshalled.
    # Handles that it has inherited, such as connections, are left alone and never closed there.
    #
    # Forks happen in many threads at once. A child inherits all descriptors that are open at that moment, so pipes are made and
    # children forked under one lock, and each child closes the parent's ends of the others' pipes. Otherwise a child would
    # keep another one's pipe open, and its parent would wait for the end of a child that is gone.
    #
    # The parent is interrupted only just before it forks, and while it reads and waits. Whatever interrupts it, the child and its group get TERM, and
    # KILL after the grace period. It must never happen that a child outlives its attempt, that its parent waits for a grandchild
    # which keeps the pipe open, that buffered text is written twice, or that an interrupt leaves a pipe or a process behind.
    # @api private
    class Isolation
      # A child that ended without an answer.
      class Died < StandardError
        include Error::Plain

        # @param status [Process::Status, nil] nil: another thread has reaped the child
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

      # The parent's ends of the pipes that detect its death. A child closes the ends of other children.
      PARENT_ENDS = {}.compare_by_identity
      # Seconds between two checks whether a silent child still exists.
      PAUSE = 0.05
      # Built in advance, because an interrupt may arrive while Ruby builds a Hash.
      ANYTIME = { Object => :immediate }.freeze
      private_constant :ANYTIME, :PARENT_ENDS, :PAUSE

      # @param grace [Numeric] seconds from TERM to KILL
      # @param contain [Boolean] whether an exception that would end a whole process ends only the child
      # @param lines [#add, nil] gets the lines that the child logs
      # @param descriptors [Boolean] whether what other programs write to the output of the child goes to $stdout and $stderr, too
      # @return [Object] what the block returns
      # @raise [Exception] what the block raises; {Died}; {Error} where there is no +fork+
      def self.call(grace: Executor::GRACE, contain: true, lines: nil, descriptors: false, &block)
        raise Error, "isolate: :process needs fork, which this platform does not have" unless ::Process.respond_to?(:fork)

        new(grace, contain, lines, descriptors).call(&block)
      end

      @carriers = []

      class << self
        # @return [Array<Module>] what brings other data than the answer from children to their parent: +enter+ and +leave+ are
        #   called in the child before and after the block, and +receive+ in the parent with what +leave+ returned, unless nil
        attr_reader :carriers

        # @param carrier [Module]
        # @return [void]
        def carry(carrier)
          @carriers |= [carrier]
        end
      end

      def initialize(grace, contain, lines, descriptors)
        @grace = grace
        @contain = contain
        @lines = lines
        @printed = Printed.new if descriptors
      end

      # @return [Object]
      def call(&block)
        folder = Dir.mktmpdir("flowline")
        Flowline.config.forking(:before) # It may be interrupted, and what it writes is flushed.
        value = Thread.handle_interrupt(Executor::Section::NEVER) { run(folder, block) }
        answered = true
        value
      ensure
        remove(folder, answered) if folder
      end

      private

      # Files of a step that has an output are left on purpose: the output may contain their paths.
      def remove(folder, answered)
        Dir.rmdir(folder)
      rescue SystemCallError # It is not empty, or gone.
        FileUtils.rm_rf(folder) unless answered
      end

      def run(folder, block)
        reader, parent_end, pid = start(folder, block)
        kind, value = Thread.handle_interrupt(ANYTIME) { answer(reader, pid) }
        status = @status || reap(pid)
        signal(:KILL, -pid) unless kind
        pid = nil
        raise Died, status, [] unless kind # No backtrace: ours would say nothing.

        kind == :value ? value : raise(value)
      ensure
        kill(pid) if pid
        @printed&.pass_on
        PARENT_ENDS.delete(parent_end)
        [reader, parent_end, *@printed&.ios].each { |io| io&.close }
      end

      # In the child it does not return.
      # @return [Array(IO, IO, Integer)] what the child sends, whose end it waits for, and its process
      def start(folder, block)
        flush
        child = Loading.apart do
          pid = :none
          reader, writer = IO.pipe(binmode: true)
          alive, parent_end = IO.pipe
          @printed&.open
          Thread.handle_interrupt(ANYTIME) { Thread.pass } # Ruby discards the interrupts that are pending at a fork, also in the parent.
          pid = fork
          @printed&.share(pid)
          (pid ? [writer, alive] : [reader, parent_end, *PARENT_ENDS.keys]).each(&:close)
          next Child.new(folder, writer, alive, @contain, !@printed.nil?) unless pid

          lead(pid)
          PARENT_ENDS[parent_end] = true
          return [reader, parent_end, pid]
        ensure # It was interrupted, or there are no more processes or descriptors.
          [reader, writer, alive, parent_end].each { |io| io&.close } if pid == :none
        end
        @lines&.forward { |*facts| child.send_frame(:log, *facts) }
        child.work(block)
      end

      # Flushes the buffers of the original streams and of files; otherwise the child would write the text a second time.
      def flush
        [STDOUT, STDERR].each(&:flush) # rubocop:disable Style/GlobalStdStream
        Descriptors.flush_files
      rescue IOError, SystemCallError
        nil # The next write reports it.
      end

      # Makes the child a process group. Parent and child both do this, because either may run first.
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
          when :log then @lines&.add(*facts)
          when :news then deliver(*facts)
          when :value then return [kind, *facts]
          else return [kind, facts.first.exception]
          end
        end
      rescue TypeError, ArgumentError, NameError => e
        [:error, Error::Remote.new("the step's answer cannot be read: #{e.message}").tap { |error| error.set_backtrace([]) }]
      end

      def deliver(carrier, news)
        carrier.receive(news)
      rescue StandardError
        nil # The step is not to blame.
      end

      # Reads from the child. A grandchild may keep the pipe open, so reading stops once the child has exited.
      # @return [String, nil] so many bytes; nil: there will be no more
      def receive(reader, pid, buffer, size)
        while buffer.bytesize < size
          chunk = reader.read_nonblock(1 << 16, exception: false)
          if chunk == :wait_readable
            return if @gone

            (@printed ? @printed.wait(reader, PAUSE) : reader.wait_readable(PAUSE)) || (@gone = gone?(pid))
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
      rescue Errno::ECHILD # Another thread has reaped it.
        true
      end

      # @return [Process::Status, nil] nil: another thread has reaped the child
      def reap(pid)
        Thread.handle_interrupt(ANYTIME) { ::Process.wait2(pid).last }
      rescue Errno::ECHILD
        nil
      end

      # Kills the child and its process group.
      def kill(pid)
        [-pid, pid].each { |target| signal(:TERM, target) } # The step may have joined another process group.
        deadline = Clock.now + @grace
        sleep(0.005) until (gone = ::Process.wait(pid, ::Process::WNOHANG)) || Clock.now > deadline
      rescue Errno::ECHILD
        gone = true
      ensure
        signal(:KILL, -pid)
        signal(:KILL, pid) unless gone
        reap(pid) unless gone
      end

      def signal(name, target)
        ::Process.kill(name, target)
      rescue SystemCallError
        nil # It has ended.
      end
    end
  end
end

# Loaded before any child is forked, so that the children need not load it.
require_relative "isolation/child"
