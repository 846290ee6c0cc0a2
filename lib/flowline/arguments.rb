# frozen_string_literal: true

require_relative "arguments/bound_call"
require_relative "arguments/call_table"

module Flowline
  # The arguments that each callable of a pipeline is called with.
  # @api private
  module Arguments
    autoload :Binding, "#{__dir__}/arguments/binding"
    autoload :Undeclared, "#{__dir__}/arguments/undeclared"
    autoload :Signature, "#{__dir__}/arguments/signature"
  end
end
