# frozen_string_literal: true

require "flowline/cli"

# Loads all of the library at once: before the garbage collector is stressed, because Ruby 3.1 crashes if a collection comes while
# it compiles a file; and before a process forks children that would each load the same files.
module Eager
  # @param namespace [Module] one of the library, whose constants may be loaded on first use
  # @return [void]
  def self.load(namespace = Flowline, seen = {}.compare_by_identity)
    return if seen[namespace]

    seen[namespace] = true
    names = namespace.constants(false)
    names.delete(:Railtie) unless defined?(::Rails::Railtie) # A subclass of that of Rails.
    constants = names.map { |name| namespace.const_get(name) }
    constants.grep(Module).each { |inner| load(inner, seen) if inner.name.to_s.start_with?("Flowline::") }
  end
end
