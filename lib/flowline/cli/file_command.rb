# frozen_string_literal: true

module Flowline
  module CLI
    # A command on the pipelines of a file.
    class FileCommand < Command
      private

      # Works on the file.
      # @param file [PipelineFile]
      # @return [Integer] the exit status
      def work_on(file)
        raise NotImplementedError
      end

      def argument
        "FILE"
      end

      def declare(parser)
        option(parser, "pipeline", "which pipeline, if the file has several", value: "NAME")
      end

      def work(arguments)
        raise Usage, "#{label}: name the file with the pipeline, as in: #{self.class::EXAMPLE}" if arguments.empty?
        raise Usage, "#{label}: one file at a time; #{arguments[1]} is one too many#{hint(arguments[1])}" if arguments.size > 1

        work_on(PipelineFile.load(arguments.first))
      end

      # @return [String, nil] what a superfluous argument may have meant
      def hint(_argument); end
    end
  end
end
