# frozen_string_literal: true

# Loads everything before the garbage collector is stressed: Ruby 3.1 crashes if a collection comes while it compiles a file.
RSpec.configure do |config|
  config.before(:context, :gc) do
    root = File.expand_path("../../lib", __dir__)
    Dir.glob("#{root}/flowline/**/*.rb").each { |file| require file.delete_suffix(".rb") }
  end
end
