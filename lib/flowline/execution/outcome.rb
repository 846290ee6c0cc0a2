# frozen_string_literal: true

module Flowline
  module Execution
    # The outcome of an attempt: plain data that can be marshalled and read in another process.
    #
    # +status+ is one of
    #
    # - +:succeeded+ with the +output+; +:cached+ with one that a cache had
    # - +:skipped+: a condition said no; +:opened+: the conditions of a step over items said yes
    # - +:failed+ and +:timed_out+ (with the +limit+ that it reached), final; +:retry+: after +wait+ seconds again
    # - +:withdrawn+: the run was stopped before the callable was called
    # - +:interrupted+: stopped in the middle; +:died+: its thread was killed
    #
    # +began+ and +ended+ are the times of its call, in seconds from the start of the run. +fatal+ is an exception that ends
    # the run as well, because it is not a StandardError. +warnings+ are sentences. +report+ is what the
    # callable reported ({Context#report}), and +writes+ what it wrote ({Context#state}).
    Outcome = Struct.new(:token, :status, :output, :error, :limit, :wait, :began, :ended, :fatal, :warnings, :report, :writes) do
      # @return [Boolean] whether the callable was called
      def called?
        !began.nil?
      end

      # @return [Array] what {#marshal_load} takes
      def marshal_dump
        to_a.map { |value| Exception === value ? Error::Portable.new(value) : value }
      end

      # @param values [Array]
      # @return [void]
      def marshal_load(values)
        members.zip(values) { |name, value| self[name] = Error::Portable === value ? value.exception : value }
      end
    end
  end
end
