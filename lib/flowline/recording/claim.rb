# frozen_string_literal: true

module Flowline
  module Recording
    # The claim of a run to what it resumes and to its beginning, in a store. Runs that are in the way are waited for, or
    # named by a {LockedError}.
    # @api private
    class Claim
      # @return [Store::Run, nil] the run to resume, whose checkpoint it holds
      attr_reader :run

      # @param subject [Subject]
      # @param patience [Patience]
      def initialize(subject, patience)
        @subject = subject
        @request = subject.request
        @pipeline = subject.pipeline
        @patience = patience
        @turn = Turn.new(subject, patience)
      end

      # Takes the turn, if the run excludes others, and claims the run to resume.
      # @return [Store::Run, nil] the run to resume
      # @raise [LockedError, StoreError]
      def take
        @turn.waiting do
          take_turn unless @request.dry?
          find if @request.continues?
        end
      end

      # Begins the run.
      # @param run [Store::Run]
      # @param options [Hash] as for {Store::SQLite#begin_run}
      # @return [Store::Run]
      # @raise [LockedError, StoreError]
      def begin(run, **options)
        @store ||= Store.at(@request.root, patience: @patience.seconds)
        @lock ||= @store.lock
        begun = @store.begin_run(run, @lock, resumes: !@run.nil?, apart_from: @turn.apart_from, **options)
        begun.run_id == run.run_id ? begun : @turn.refuse(begun)
      end

      # @return [Store::SQLite, nil] nil: there is none
      def store
        @store ||= Store.existing(@request.root, patience: @patience.seconds)
      end

      # @return [String] the secret key of the store, from the operating system; made if need be
      def key
        @store ||= Store.at(@request.root, patience: @patience.seconds) unless @request.dry?
        store ? store.key(patience: @patience.seconds) : "" # Nothing is recorded then.
      end

      # @return [Boolean] whether there was no store before
      def makes_store?
        @makes_store == true
      end

      # @return [Native::Lock] of the run's checkpoint, once it has begun
      attr_reader :lock

      # @return [void]
      def release
        @lock&.release
        @turn.release
      end

      private

      # The store is made if need be.
      def take_turn
        return unless @turn.taken?

        @makes_store = store.nil?
        @store ||= Store.at(@request.root, patience: @patience.seconds)
        @turn.take(@store.method(:lock)) { |others| alive(others) }
        return @turn.refuse_late { |others| ended_since(others) } unless @turn.waits?

        while (run = alive(@turn.apart_from)) # It may exclude nobody itself.
          @turn.pause || @turn.refuse(run)
        end
      end

      # Finds the run to resume and claims its checkpoint. For a dry run, checks only whether it could.
      def find
        while store && (run = candidate)
          held = @request.dry? ? !run.alive || run : hold(run)
          return @run = run if held == true

          give_way(held) if held
        end
      end

      # Returns the latest run with the same identity, unless nothing of it is left to be done.
      def candidate
        run = store.latest(@pipeline.name, @subject.identity, patience: @patience.seconds)
        target = @request.target
        @turn.refuse((run if run&.alive)) if target && target.run_id != run&.run_id # It has been resumed meanwhile.
        run unless run.nil? || (!@request.selects? && Journal.done?(store, @pipeline, run, @patience.seconds))
      end

      # @return [Store::Run, nil] a run of the pipeline that has ended since this one was called for
      def ended_since(others)
        @store.ended_after(@pipeline.name, (@subject.identity if others == :alike), @request.called, patience: @patience.seconds)
      end

      # @return [Store::Run, nil] a run of the pipeline that is alive
      def alive(others)
        @store.alive(@pipeline.name).find { |run| others == :all || run.identity == @subject.identity }
      end

      # @return [true, nil, Store::Run] see {Store::SQLite#claim}
      def hold(run)
        @lock ||= store.lock
        store.claim(run, @lock, patience: @patience.seconds)
      end

      # Waits, or raises, because another process holds the checkpoint. If it has only claimed the checkpoint, that is for a
      # moment: its own run begins, or it fails to.
      def give_way(held)
        return if @turn.pause

        @refused ||= Clock.now + 1.0
        @turn.refuse(held) if held.alive || Clock.now > @refused
        sleep(0.005)
      end
    end
  end
end
