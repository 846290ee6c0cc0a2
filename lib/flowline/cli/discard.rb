# frozen_string_literal: true

module Flowline
  module CLI
    # Standard output while a pipeline runs: when its reader has gone away, as `head` does, further output of steps and of
    # the programs that they start is discarded. Otherwise a run would fail because nobody reads what its steps print.
    module Discard
      # Changes the stream while the block is called.
      # @param stream [IO]
      # @return [Object] what the block returns
      def self.during(stream)
        return yield if changed?(stream)

        stream.define_singleton_method(:write) do |*texts|
          super(*texts)
        rescue Errno::EPIPE
          reopen(File::NULL, "w")
          texts.sum { |text| text.to_s.bytesize }
        end
        begin
          yield
        ensure
          stream.singleton_class.send(:remove_method, :write) if changed?(stream) # A stream that was reopened has lost it.
        end
      end

      def self.changed?(stream)
        stream.singleton_methods(false).include?(:write)
      end
      private_class_method :changed?
    end
  end
end
