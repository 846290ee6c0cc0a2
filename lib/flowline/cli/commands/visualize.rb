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
        # The placeholders of a template of links.
        PLACEHOLDERS = %w[path line].freeze
        private_constant :FORMATS, :PLACEHOLDERS

        private

        def declare(parser)
          super
          parser.on("--format FORMAT", "#{FORMATS.keys.join(", ")}; default ascii") do |format|
            raise Usage, "#{label}: unknown format #{format}; known are #{FORMATS.keys.join(", ")}" unless FORMATS.key?(format)

            @options[:format] = format
          end
          parser.on("-o", "--output FILE", "write to a file instead of standard output; without --link, links are relative to it") do |file|
            @options[:output] = file
          end
          option(parser, "link", "URL of a step's source in svg, html and json; default {path}#L{line}", value: "TEMPLATE")
        end

        def work_on(file)
          name, pipeline = file.choose(@options[:pipeline])
          draw = FORMATS.fetch(@options[:format] || "ascii")
          picture = file.check { draw.call(pipeline.dag, Name.show(pipeline.name || name), { link: link(file) }.compact) }
          output("#{picture.chomp}\n", page: %w[svg html].include?(@options[:format]))
          0
        end

        # @return [String, nil] the template of links, as given or from the directory of the output
        def link(file)
          given = @options[:link]
          unknown = given.to_s.scan(/\{(\w*)\}/).flatten.find { |name| !PLACEHOLDERS.include?(name) }
          raise Usage, "#{label}: --link has no {#{unknown}}#{Name.suggest(unknown, PLACEHOLDERS, known: "there are")}" if unknown
          return given if given || @options[:output].nil? || !File.expand_path(file.path).start_with?("#{Dir.pwd}/")

          require "pathname"
          here = Pathname.pwd.relative_path_from(Pathname.new(File.expand_path(@options[:output])).dirname).to_s
          "#{"#{here}/" unless here == "."}{path}#L{line}"
        end
      end
    end
  end
end
