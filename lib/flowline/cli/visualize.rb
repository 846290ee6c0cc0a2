# frozen_string_literal: true

module Flowline
  module CLI
    # +flowline visualize FILE+: draws a pipeline.
    class Visualize < Command
      # What it does, for the list of commands.
      SUMMARY = "draw a pipeline"
      # How it is called.
      EXAMPLE = "flowline visualize import.rb --format=mermaid"

      FORMATS = { "ascii" => :to_ascii, "mermaid" => :to_mermaid, "dot" => :to_dot }.freeze
      private_constant :FORMATS

      private

      def declare(parser)
        parser.on("--format FORMAT", "#{FORMATS.keys.join(", ")} (ascii)") do |format|
          known = "; known are #{FORMATS.keys.join(", ")}"
          raise Usage, "visualize: unknown format #{format}#{known}" unless FORMATS.key?(format)

          @options[:format] = format
        end
      end

      def work(file)
        _, pipeline = file.choose(@options[:pipeline])
        @out.puts(file.guard { pipeline.dag.public_send(FORMATS.fetch(@options[:format] || "ascii")) })
        0
      end
    end
  end
end
