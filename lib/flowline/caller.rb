# frozen_string_literal: true

module Flowline
  # Where our methods are called from: Ruby allows no locks in signal handlers, and no shared objects in Ractors.
  # @api private
  module Caller
    # @param done [String] what cannot be done there: +"defined"+ or +"run"+
    # @return [void]
    # @raise [Error] the caller is in a signal handler, or in a Ractor that is not the main one
    def self.check(done)
      unless Ractor.current.equal?(Ractor.main)
        way_out = "use threads, or executor: :process for steps that compute"
        raise Error, "a pipeline cannot be #{done} in a Ractor, because Ractors share no objects; #{way_out}"
      end

      Thread::Mutex.new.synchronize { nil } # Raises in a signal handler.
    rescue ThreadError
      way_out = done == "run" ? "run it in a thread, as in `trap(:USR1) { Thread.new { pipeline.run } }`" : "define it before"
      raise Error, "a pipeline cannot be #{done} in a signal handler, because Ruby allows no locks there; #{way_out}", cause: nil
    end
  end
end
