# frozen_string_literal: true

module Flowline
  module CLI
    # The commands, a class each: +flowline run+ is {Run}.
    module Commands
      autoload :Cache, "#{__dir__}/commands/cache"
      autoload :Cancel, "#{__dir__}/commands/cancel"
      autoload :Help, "#{__dir__}/commands/help"
      autoload :History, "#{__dir__}/commands/history"
      autoload :Logs, "#{__dir__}/commands/logs"
      autoload :Plan, "#{__dir__}/commands/plan"
      autoload :Report, "#{__dir__}/commands/report"
      autoload :Resume, "#{__dir__}/commands/resume"
      autoload :Run, "#{__dir__}/commands/run"
      autoload :Show, "#{__dir__}/commands/show"
      autoload :State, "#{__dir__}/commands/state"
      autoload :Stats, "#{__dir__}/commands/stats"
      autoload :Status, "#{__dir__}/commands/status"
      autoload :Trace, "#{__dir__}/commands/trace"
      autoload :Validate, "#{__dir__}/commands/validate"
      autoload :Watch, "#{__dir__}/commands/watch"
      autoload :Web, "#{__dir__}/commands/web"
      autoload :Version, "#{__dir__}/commands/version"
      autoload :Why, "#{__dir__}/commands/why"
      autoload :Visualize, "#{__dir__}/commands/visualize"

      # The names of the commands, in the order of the help.
      NAMES = %w[run resume plan validate visualize status watch cancel logs history show why report web stats trace state cache help version].freeze

      # @param name [String]
      # @return [Class] the command of that name
      # @raise [Usage] there is none
      def self.fetch(name)
        NAMES.include?(name) ? const_get(name.capitalize) : raise(Usage, "unknown command #{Name.show(name)}#{meant(name)}")
      end

      def self.meant(name)
        return "; to run the pipeline in it: flowline run #{name}" if File.file?(name) || name.end_with?(".rb")
        return "; the command comes first, as in: flowline run FILE #{name}" if name.start_with?("-")

        Name.suggest(name, NAMES, known: "known are")
      end
      private_class_method :meant
    end
  end
end
