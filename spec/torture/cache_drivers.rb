# frozen_string_literal: true

require_relative "driver"

module Torture
  module Drivers
    # Entries of a file cache, some as large as the large outputs.
    class Caching < Driver
      called "Cache::File"

      LARGE = "cached".ljust(Work::LARGE, "cached")
      # The entries before the fault.
      ENTRIES = { "a/small" => [1, 2], "a/large" => LARGE, "b/small" => "old", "b/twin" => LARGE, "b/gone" => "gone" }.freeze
      # The changes that the fault strikes: each sets a value, or deletes the entry if the value is nil.
      CHANGES = { "b/small" => "new", "b/twin" => nil, "b/gone" => nil, "c/large" => LARGE.reverse, "c/small" => { c: 1 } }.freeze

      def prepare
        super
        ENTRIES.each { |key, value| cache.set(key, value) }
      end

      def check
        values + fetched + resumed(OTHER, bystander)
      end

      private

      def cache
        @cache ||= Flowline::Cache::File.new
      end

      def attempt
        wrong = []
        refused = nil
        [*ENTRIES.keys.first(2), *CHANGES.keys].each do |key|
          wrong << key unless change(key)
        rescue Flowline::CacheError => e
          refused = "refused: #{e.message}"
        end
        return "wrong value of #{wrong}" if wrong.any?

        refused || "right"
      end

      # @return [Boolean] whether what was read is right
      def change(key)
        unless CHANGES.key?(key)
          found = cache.get(key)
          return found.nil? || found == ENTRIES[key] # A fault may hide the entry; a later check shows whether it is still there.
        end
        CHANGES[key].nil? ? cache.delete(key) : cache.set(key, CHANGES[key])
        Work.write("done #{key}")
        true
      end

      def values
        (ENTRIES.keys | CHANGES.keys).filter_map do |key|
          found = cache.get(key)
          next if allowed(key).include?(found)

          [found.nil? ? :lost : :wrong, "cache entry #{key} is #{found.inspect[0, 20]}"]
        end
      end

      # An entry is as before or after a change. If the change has returned, it is as after it.
      def allowed(key)
        return [ENTRIES[key]] unless CHANGES.key?(key)

        Work.lines.include?("done #{key}") ? [CHANGES[key]] : [ENTRIES[key], CHANGES[key]]
      end

      # Checks that the locks of keys are free, and that missing values are computed.
      def fetched
        found = %w[a/large b/twin c/large].map { |key| cache.fetch(key) { "computed" } }
        found.zip([LARGE, nil, CHANGES["c/large"]]).all? { |value, expected| ["computed", LARGE, expected].include?(value) } ? [] : [[:wrong, "fetch"]]
      end
    end

    # `flowline cache --clear`, of one name and of all.
    class Clearing < Caching
      called "flowline cache --clear"

      private

      def attempt
        %w[b all].each do |name|
          out = StringIO.new
          code = Flowline::CLI.start(["cache", "--clear", name], out: out, err: out)
          return out.string.include?("cache") ? "refused: #{out.string}" : "exit #{code}: #{out.string}" unless code.zero?

          Work.write("cleared #{name}")
        end
        "right"
      end

      # A clear that has not returned may have cleared. One of `b` must not touch `a`, but one of all comes next.
      def allowed(key)
        return [nil] if Work.lines.include?("cleared all") || (key.start_with?("b/") && Work.lines.include?("cleared b"))
        return [ENTRIES[key]] unless key.start_with?("b/") || Work.lines.include?("cleared b")

        [ENTRIES[key], nil]
      end
    end
  end
end
