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

        # Draws each format, from a graph, the pipeline's title, and the template of links.
        FORMATS = {
          "ascii" => ->(dag, _, _) { dag.to_ascii }, "mermaid" => ->(dag, _, _) { dag.to_mermaid }, "dot" => ->(dag, _, _) { dag.to_dot },
          "svg" => ->(dag, _, link) { dag.to_svg(**link) }, "html" => ->(dag, title, link) { dag.to_html(title: title, **link) },
          "json" => ->(dag, _, link) { dag.to_json(**link) }
        }.freeze
        private_constant :FORMATS

        private

        def declare(parser)
          super
          parser.on("--format FORMAT", "#{FORMATS.keys.join(", ")}; default ascii") do |format|
            raise Usage, "#{label}: unknown format #{format}; known are #{FORMATS.keys.join(", ")}" unless FORMATS.key?(format)

            @options[:format] = format
          end
          option(parser, "link", "URL of a step's source in svg, html and json; default {path}#L{line}", value: "TEMPLATE")
        end

        def work_on(file)
          name, pipeline = file.choose(@options[:pipeline])
          draw = FORMATS.fetch(@options[:format] || "ascii")
          @out.puts(file.check { draw.call(pipeline.dag, Name.show(pipeline.name || name), @options.slice(:link)) })
          0
        end
      end
    end
  end
end
