# frozen_string_literal: true

# A Ruby warning from our own files fails the run, so that `ruby -w` stays silent for users of Flowline.
module OwnWarnings
  ROOT = File.expand_path("../..", __dir__)
  OWN = %r{\A(#{Regexp.escape(ROOT)}/|\./)?(lib|exe|ext|spec|examples|benchmarks)/[^:]+:\d+: warning: }

  # The warnings so far.
  SEEN = [] # rubocop:disable Style/MutableConstant

  # Collects instead of raising, because a `rescue` would swallow the exception.
  def warn(message, ...)
    SEEN << message if OWN.match?(message)
    super
  end
end

Warning.extend(OwnWarnings)

RSpec.configure do |config|
  config.after(:suite) do
    raise "#{OwnWarnings::SEEN.size} warnings from our own files:\n#{OwnWarnings::SEEN.join}" if OwnWarnings::SEEN.any?
  end
end
