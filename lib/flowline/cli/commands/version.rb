# frozen_string_literal: true

module Flowline
  module CLI
    module Commands
      # +flowline version+: shows the version.
      class Version < Command
        # Its line in the list of commands.
        SUMMARY = "show the version of Flowline"
        # An example of a call.
        EXAMPLE = "flowline version"

        private

        def work(_arguments)
          @out.puts("flowline #{VERSION}")
          0
        end
      end
    end
  end
end
