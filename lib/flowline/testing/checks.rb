# frozen_string_literal: true

module Flowline
  module Testing
    # The kinds of {Check}.
    # @api private
    module Checks
      autoload :Succeed, "#{__dir__}/checks/succeed"
      autoload :Fail, "#{__dir__}/checks/fail"
      autoload :Run, "#{__dir__}/checks/run"
      autoload :End, "#{__dir__}/checks/end"
    end
  end
end
