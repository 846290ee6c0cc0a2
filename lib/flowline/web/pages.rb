# frozen_string_literal: true

module Flowline
  class Web
    # The pages.
    # @api private
    module Pages
      autoload :Cancel, "#{__dir__}/pages/cancel"
      autoload :Failure, "#{__dir__}/pages/failure"
      autoload :Grid, "#{__dir__}/pages/grid"
      autoload :History, "#{__dir__}/pages/history"
      autoload :Overview, "#{__dir__}/pages/overview"
      autoload :Pipeline, "#{__dir__}/pages/pipeline"
      autoload :Resume, "#{__dir__}/pages/resume"
      autoload :Run, "#{__dir__}/pages/run"
      autoload :Start, "#{__dir__}/pages/start"
      autoload :Step, "#{__dir__}/pages/step"
    end
  end
end
