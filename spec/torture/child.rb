# frozen_string_literal: true

module Torture
  # A forked child with a time limit, and its result. It answers through a pipe that is not read to its end, because
  # processes that the child forks hold it open. So answers have to be small.
  class Child
    # The time limit of a child in seconds. On an idle machine no child needs a second.
    LIMIT = Float(ENV.fetch("LIMIT", 20))
    # The size of a pipe's buffer on Linux: a child must not wait for a reader.
    MOST = 60_000

    # @return [Object] what the block returned
    attr_reader :answer
    # @return [String, nil] the class and message of the exception that the block raised
    attr_reader :error

    @living = {}
    @nested = false

    class << self
      # @return [Boolean] whether this process is such a child
      attr_accessor :nested
      # @return [Hash{Integer => Child}] the children that were not waited for, by process id
      attr_reader :living

      # Ends these children, with the processes that they forked.
      # @return [void]
      def end_all
        living.each_value(&:end_group)
      end
    end

    # Runs the block in a child and waits for it.
    # @param limit [Numeric] seconds
    # @return [Child]
    def self.call(limit: LIMIT, &block)
      new(&block).wait(limit)
    end

    def initialize(&block)
      @reader, writer = IO.pipe(binmode: true)
      @pid = fork do
        @reader.close
        work(writer, block)
      end
      writer.close
      @waiter = Process.detach(@pid)
      Child.living[@pid] = self
    end

    # @return [Integer] its process id
    attr_reader :pid

    # @return [Child] itself, when the process is gone
    def wait(limit = LIMIT)
      @stuck = @waiter.join(limit).nil?
      @where = File.read("/proc/#{pid}/wchan") if @stuck && File.readable?("/proc/#{pid}/wchan")
      signal(:KILL) if @stuck
      @waiter.join
      take_answer
      self
    ensure
      signal(:KILL) if alive? # The thread that waits was interrupted.
      end_group unless Child.nested
      @waiter.join
      Child.living.delete(pid)
      @reader.close
    end

    # @return [Boolean] whether it is still alive
    def alive?
      @waiter.alive?
    end

    # @param name [Symbol]
    # @return [void]
    def signal(name)
      Process.kill(name, pid)
    rescue Errno::ESRCH
      nil
    end

    # @return [Boolean] whether it was killed because it did not end in time
    def stuck?
      @stuck
    end

    # @return [Boolean] whether `kill -9` ended it
    def killed?
      !stuck? && @waiter.value.termsig == Signal.list["KILL"]
    end

    # @return [Array<Array(Symbol, String)>] findings about its end: it is stuck, died or raised
    def findings(label)
      return [[:stuck, "#{label}#{" #{@where}" if @where}"]] if stuck?
      return [[:wrong, "#{label} raised #{error}"]] if error
      return [] if @waiter.value.success?

      [[:wrong, "#{label} ended with #{@waiter.value.to_s[/(SIG\w+|exit \d+|status \d+).*/]}"]]
    end

    # A child of the program has a process group of its own; its own children are in it unless they leave it.
    # @return [void]
    def end_group
      Process.kill(:KILL, -pid)
    rescue Errno::ESRCH, Errno::EPERM
      nil
    end

    private

    # Ends as a program does, so that a store is closed.
    def work(writer, block)
      Process.setpgid(0, 0) unless Child.nested
      Child.nested = true
      Child.living.clear
      begin
        answer = [block.call, nil]
      rescue Exception => e # rubocop:disable Lint/RescueException -- its parent decides what it means
        line = e.backtrace&.find { |frame| frame.include?("/lib/flowline") }
        answer = [nil, "#{e.class}: #{e.message[0, 500]}#{" at #{File.basename(line)[0, 80]}" if line}"]
      end
      bytes = Marshal.dump(answer)
      writer.syswrite(bytes.bytesize > MOST ? Marshal.dump([nil, "too large an answer"]) : bytes)
      exit(true)
    end

    def take_answer
      @answer, @error = Marshal.load(@reader.read_nonblock(MOST))
    rescue IO::WaitReadable, EOFError
      nil # It was killed before.
    end
  end
end
