# frozen_string_literal: true

require "fcntl"

module Flowline
  module Executor
    class Isolation
      # The open descriptors of this process, and the files among them.
      # @api private
      module Descriptors
        # Where the platform lists them.
        FOLDER = "/dev/fd"
        private_constant :FOLDER

        class << self
          # @return [Array<Integer>, nil] those that are open; nil: the platform does not list them
          def list
            Dir.open(FOLDER) { |folder| folder.children.map(&:to_i) - [folder.fileno] }
          rescue SystemCallError
            nil
          end

          # Flushes the files of this process that are open for writing, so that what they buffer is written once, here.
          # @param open [Array<Integer>, nil] the list
          # @return [void]
          # @raise [SystemCallError] the text cannot be written
          def flush_files(open = list)
            return unless files?(open) # To look at all objects takes longer than to fork.

            ObjectSpace.each_object(::File) { |file| file.flush if writable?(file) }
          end

          private

          # @return [Boolean] whether a regular file may be open, besides the standard streams
          def files?(open)
            return true unless open

            standard = [STDOUT, STDERR].reject(&:closed?).map(&:fileno) # rubocop:disable Style/GlobalStdStream
            (open - standard).any? { |number| ::File.file?("#{FOLDER}/#{number}") }
          end

          # @return [Boolean] whether it is a regular file that is open for writing; others might block
          def writable?(file)
            !file.closed? && (file.fcntl(Fcntl::F_GETFL) & Fcntl::O_ACCMODE) != ::File::RDONLY && file.stat.file?
          rescue IOError, SystemCallError
            false # Another thread has just closed it.
          end
        end
      end
    end
  end
end
