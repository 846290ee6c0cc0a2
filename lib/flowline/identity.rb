# frozen_string_literal: true

module Flowline
  # The identity of values and code, and the recognition of secrets.
  # @api private
  module Identity
    autoload :Digest, "#{__dir__}/identity/digest"
    autoload :Fingerprint, "#{__dir__}/identity/fingerprint"
    autoload :Notations, "#{__dir__}/identity/notations"
    autoload :Secrets, "#{__dir__}/identity/secrets"
  end
end
