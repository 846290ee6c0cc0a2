# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline cache+: shows or clears a file cache.
      class Cache < StoreCommand
        # Its line in the list of commands.
        SUMMARY = "show what a file cache holds, by pipeline and step; or clear it"
        # An example of a call.
        EXAMPLE = "flowline cache --clear import/fetch"

        private

        def declare(parser)
          super
          option(parser, "dir", "the cache; default: cache within the store", value: "DIRECTORY")
          option(parser, "clear", "remove the entries of PIPELINE or PIPELINE/STEP; all: everything", value: "NAME")
        end

        def rows
          @cleared = nil
          return [] unless Store.existing(path)

          cache = Flowline::Cache::File.new(path)
          clear(cache, @options[:clear]) if @options[:clear]
          groups = cache.entries.group_by { |entry| entry[:key].rpartition("/").first }
          groups.map { |name, entries| { name: name, entries: entries.size, bytes: entries.sum { |entry| entry[:size] } } }
        end

        def work(arguments)
          status = super
          @unknown ? 1 : status
        end

        def nothing
          @cleared ? 0 : super
        end

        def path
          @options[:dir] || ::File.join(root, "cache")
        end

        def missing
          named = @options.slice(:root, :dir).any? || ![nil, "all"].include?(@options[:clear])
          named && Store.existing(path).nil? ? 1 : 0
        end

        def absence
          missing == 1 ? "there is no cache at #{path}" : "nothing in #{path}"
        end

        def clear(cache, name)
          keys = cache.entries.map { |entry| entry[:key] }
          old = name == "all" ? keys : keys.select { |key| key.start_with?("#{name}/") }
          return unknown(name, keys) if old.empty? && name != "all"

          cache.clear(*("#{name}/" unless name == "all"))
          @cleared = true
          @err.puts("cache: removed #{count(old.size)}")
        end

        def unknown(name, keys)
          @unknown = true
          steps = keys.map { |key| key.rpartition("/").first }.uniq
          known = steps.map { |step| step.rpartition("/").first }.uniq + steps
          @err.puts("cache: nothing of #{Name.show(name)} in #{path}#{Name.suggest(name, known, known: "there are")}")
        end

        def show(group)
          @out.puts("#{group[:name].ljust(30)}  #{count(group[:entries])}  #{group[:bytes]} bytes")
        end

        def count(entries)
          "#{entries} #{entries == 1 ? "entry" : "entries"}"
        end
      end
    end
  end
end
