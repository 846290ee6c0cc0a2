# frozen_string_literal: true

require "optparse"

module Flowline
  module CLI
    # Checks the options of a command before OptionParser reads them: each is written in full.
    #
    # OptionParser completes options (`--res`, and even `-r` for `--resume`), splits `-vh` into two, and knows `--no-resume` of
    # everything. Its +require_exact+ cannot be used, because on Ruby 3.1 it also refuses `--format=dot`.
    class Options
      # An option that the command does not have.
      class Unknown < Error
        # @return [String] the option as it was given, without its value
        attr_reader :flag
        # @return [String, nil] its value
        attr_reader :value

        # @param flag [String]
        # @param value [String, nil]
        def initialize(flag, value)
          @flag = flag
          @value = value
          super("unknown option #{flag}")
        end
      end

      # @param parser [OptionParser]
      def initialize(parser)
        @switches = parser.top.list.grep(OptionParser::Switch)
      end

      # @return [Array<String>] the options, in full
      def names
        @switches.flat_map(&:long)
      end

      # @param arguments [Array<String>]
      # @return [void]
      # @raise [Unknown] for the first option that is not one of the command's, or is abbreviated
      def check(arguments)
        rest = arguments.dup
        while (argument = rest.shift) && argument != "--"
          next unless argument.match?(/\A-./)

          flag, value = argument.split("=", 2)
          switch = find(flag) or raise Unknown.new(flag, value || rest.first&.then { |following| following unless following.start_with?("-") })
          rest.shift if takes_next?(switch, argument, flag)
        end
      end

      private

      # Short options may have their value attached, as in `-rconfig`.
      def find(flag)
        @switches.find { |switch| switch.long.include?(flag) || switch.short.include?(flag) } ||
          @switches.find { |switch| !flag.start_with?("--") && switch.short.include?(flag[0, 2]) && valued?(switch) }
      end

      def takes_next?(switch, argument, flag)
        valued?(switch) && !argument.include?("=") && (switch.long + switch.short).include?(flag)
      end

      def valued?(switch)
        OptionParser::Switch::RequiredArgument === switch
      end
    end
  end
end
