# frozen_string_literal: true

module Flowline
  class Web
    # The pages.
    # @api private
    module Pages
      autoload :Failure, "#{__dir__}/pages/failure"
      autoload :Overview, "#{__dir__}/pages/overview"
    end
  end
end
