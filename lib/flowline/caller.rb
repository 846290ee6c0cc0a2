# frozen_string_literal: true

module Flowline
  # Where our methods are called from: Ruby allows no locks in signal handlers, and no shared objects in Ractors.
  # @api private
  module Caller
    # Locked for a moment, to learn whether Ruby allows locks.
    LOCK = Thread::Mutex.new
    private_constant :LOCK

    # @return [void]
    # @raise [Error] no pipeline can be defined by the caller
    def self.may_define
      unless Ractor.current.equal?(Ractor.main)
        way_out = "use threads, or executor: :process for steps that compute"
        raise Error, "a pipeline cannot be defined in a Ractor, because Ractors share no objects; #{way_out}"
      end

      lock
    rescue ThreadError
      raise Error, "a pipeline cannot be defined in a signal handler, because Ruby allows no locks there; define it before", cause: nil
    end

    # Another Ractor cannot have a pipeline.
    # @return [void]
    # @raise [Error] no pipeline can be run by the caller
    def self.may_run
      lock
    rescue ThreadError
      way_out = "run it in a thread, as in `trap(:USR1) { Thread.new { pipeline.run } }`"
      raise Error, "a pipeline cannot be run in a signal handler, because Ruby allows no locks there; #{way_out}", cause: nil
    end

    # @return [String] the working directory; empty if it was removed
    def self.directory
      Dir.pwd
    rescue SystemCallError
      ""
    end

    # Raises an exception again that another thread has raised here, such as that of <tt>Timeout.timeout(1, MyError)</tt>, instead
    # of the computation that it interrupted. A computation that fails does so again; an interrupted one does not.
    # @param error [Exception]
    # @yield computes again
    # @return [void]
    # @raise [Exception] the error, if the block raises none
    def self.raise_foreign(error)
      begin
        yield
      rescue *Cache::TROUBLE
        return
      end
      raise error
    end

    # Raises a ThreadError in a signal handler.
    def self.lock
      LOCK.synchronize { nil }
    end
    private_class_method :lock
  end
end
