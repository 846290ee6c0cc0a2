# frozen_string_literal: true

module Flowline
  module CLI
    # The commands, a class each: +flowline run+ is {Run}.
    module Commands
      autoload :Cache, "#{__dir__}/commands/cache"
      autoload :Help, "#{__dir__}/commands/help"
      autoload :History, "#{__dir__}/commands/history"
      autoload :Plan, "#{__dir__}/commands/plan"
      autoload :Run, "#{__dir__}/commands/run"
      autoload :Status, "#{__dir__}/commands/status"
      autoload :Validate, "#{__dir__}/commands/validate"
      autoload :Version, "#{__dir__}/commands/version"
      autoload :Visualize, "#{__dir__}/commands/visualize"

      # The names of the commands, in the order of the help.
      NAMES = %w[run plan validate visualize status history cache help version].freeze

      # @param name [String]
      # @return [Class] the command of that name
      # @raise [Usage] there is none
      def self.fetch(name)
        raise Usage, "unknown command #{name}#{Name.suggest(name, NAMES, known: "known are")}" unless NAMES.include?(name)

        const_get(name.capitalize)
      end
    end
  end
end
