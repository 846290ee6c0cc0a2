# frozen_string_literal: true

module Flowline
  module CLI
    # Rewrites advice that errors of the library give in Ruby, `run(resume: true)`, as advice for the command line, `--resume`.
    module Advice
      # Run options that are options of the command line, too.
      FLAGS = %w[executor max_threads max_processes resume exclusive exclusive_wait from only].freeze
      OPTION = /\b(?:run: )?(#{FLAGS.join("|")}): (?=\S)/
      private_constant :FLAGS, :OPTION

      # @param error [Error]
      # @return [String] its message, for a user of the command line
      def self.of(error)
        case error
        when ParamError, CheckpointError then translate(error.message)
        else error.message
        end
      end

      # @param text [String] a warning of a run
      # @return [String] the same for a user of the command line
      def self.of_warning(text)
        text.gsub(/(raise|:\w+,) (max_threads|max_processes):/) { "#{Regexp.last_match(1)} --#{Regexp.last_match(2).tr("_", "-")}" }
            .gsub(/\buse executor: :(\w+),/, "use --executor \\1")
            .gsub(/\band resume: true tries/, "and flowline resume tries")
      end

      # @param text [String] with advice in Ruby
      # @return [String] with advice for the command line
      def self.translate(text)
        text.gsub("exclusive_wait: needs exclusive: or resume:", "--exclusive-wait needs --exclusive or --resume")
            .gsub(/\bresume: true\b/, "--resume")
            .gsub(/(?<!define\()keep_checkpoint: true\b/, "Flowline.define(keep_checkpoint: true)")
            .gsub(/\bexclusive_wait: (\d+)/, "--exclusive-wait=\\1")
            .gsub(OPTION) { "--#{Regexp.last_match(1).tr("_", "-")}: " }
            .gsub(/^( *- )?run: /, "\\1")
            .gsub("give an object with `open_pool`, or one of", "known are")
      end
    end
  end
end
