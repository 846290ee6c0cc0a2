# frozen_string_literal: true

module Flowline
  # Pictures and pages of pipelines and runs.
  # @api private
  class Report
    autoload :Page, "#{__dir__}/report/page"
    autoload :Picture, "#{__dir__}/report/picture"
  end
end
