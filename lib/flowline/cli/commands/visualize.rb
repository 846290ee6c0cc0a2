# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline visualize FILE+: draws a pipeline.
      class Visualize < FileCommand
        # Its line in the list of commands.
        SUMMARY = "draw the graph of a pipeline"
        # An example of a call.
        EXAMPLE = "flowline visualize import.rb --format=mermaid"

        FORMATS = { "ascii" => :to_ascii, "mermaid" => :to_mermaid, "dot" => :to_dot }.freeze
        private_constant :FORMATS

        private

        def declare(parser)
          super
          parser.on("--format FORMAT", "#{FORMATS.keys.join(", ")}; default ascii") do |format|
            raise Usage, "#{label}: unknown format #{format}; known are #{FORMATS.keys.join(", ")}" unless FORMATS.key?(format)

            @options[:format] = format
          end
        end

        def work_on(file)
          _, pipeline = file.choose(@options[:pipeline])
          @out.puts(file.check { pipeline.dag.public_send(FORMATS.fetch(@options[:format] || "ascii")) })
          0
        end
      end
    end
  end
end
