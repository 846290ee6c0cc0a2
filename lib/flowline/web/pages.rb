# frozen_string_literal: true

module Flowline
  class Web
    # The pages.
    # @api private
    module Pages
      autoload :Cancel, "#{__dir__}/pages/cancel"
      autoload :Failure, "#{__dir__}/pages/failure"
      autoload :Overview, "#{__dir__}/pages/overview"
      autoload :Run, "#{__dir__}/pages/run"
    end
  end
end
