# frozen_string_literal: true

module Flowline
  # A run as a page of one file: its graph with outcomes, a timeline, a table of its steps, and how it compares with earlier
  # runs. The page makes no request to anywhere, so it can be stored, attached or sent.
  #
  #   result = pipeline.run
  #   result.report("run.html")
  # @api private
  class Report
    autoload :Bars, "#{__dir__}/report/bars"
    autoload :Comparison, "#{__dir__}/report/comparison"
    autoload :Data, "#{__dir__}/report/data"
    autoload :Document, "#{__dir__}/report/document"
    autoload :Graph, "#{__dir__}/report/graph"
    autoload :Island, "#{__dir__}/report/island"
    autoload :Logs, "#{__dir__}/report/logs"
    autoload :Markup, "#{__dir__}/report/markup"
    autoload :Page, "#{__dir__}/report/page"
    autoload :Picture, "#{__dir__}/report/picture"
    autoload :Reasons, "#{__dir__}/report/reasons"
    autoload :Sources, "#{__dir__}/report/sources"
    autoload :Standing, "#{__dir__}/report/standing"
    autoload :Step, "#{__dir__}/report/step"
    autoload :Table, "#{__dir__}/report/table"
    autoload :Timing, "#{__dir__}/report/timing"
    autoload :Trend, "#{__dir__}/report/trend"
    autoload :Waits, "#{__dir__}/report/waits"

    # @param data [Data]
    def initialize(data)
      @data = data
    end

    # @param path [String, nil] a file to write it to
    # @return [String] HTML
    # @raise [SystemCallError] the file cannot be written
    def write(path)
      html = to_s
      File.write(path, html) if path
      html
    end

    # @return [String] HTML
    def to_s
      Page.new("#{@data.pipeline || "Pipeline"} #{@data.status}", Document.new(@data).to_s, script: Page.asset("report.js")).to_s
    end
  end
end
