# frozen_string_literal: true

module Flowline
  module Reporter
    # The workflow commands of GitHub Actions: the lines of the steps as a group, and failures and warnings as annotations of the
    # user's lines. See https://docs.github.com/actions/reference/workflow-commands-for-github-actions.
    # @api private
    class Annotations
      # Annotations of one kind; GitHub shows ten.
      MOST = 10
      ESCAPES = { "%" => "%25", "\r" => "%0D", "\n" => "%0A" }.freeze
      PROPERTY_ESCAPES = { **ESCAPES, ":" => "%3A", "," => "%2C" }.freeze
      private_constant :MOST, :ESCAPES, :PROPERTY_ESCAPES

      # @param terminal [Terminal]
      # @return [Annotations, nil] nil: the output is not read by GitHub Actions
      def self.for(terminal)
        new if ENV["GITHUB_ACTIONS"] == "true" && !terminal.tty?
      end

      # @param lines [Array<String>] the first of which is a title
      # @return [Array<String>]
      def open(lines)
        ["::group::#{escape(lines.first)}", *shown(lines.drop(1))]
      end

      # @param lines [Array<String>] within the group
      # @return [Array<String>] the same without commands of the older form, which may stand anywhere in a line
      def shown(lines)
        lines.map { |line| line.gsub("##[", "## [") }
      end

      # @param event [Event] the end of a run
      # @param lines [Array<String>] its last lines
      # @return [Array<String>]
      def close(event, lines)
        result = event.result
        errors = result.failed_steps.first(MOST).map { |name| error(result[name].error, event.context) }
        warnings = result.warnings.first(MOST).map { |warning| command("warning", {}, warning) }
        ["::endgroup::", *warnings, *errors, *inert(lines)]
      end

      private

      # Messages may have lines that look like commands.
      def inert(lines)
        token = Random.urandom(8).unpack1("H*")
        ["::stop-commands::#{token}", *lines, "::#{token}::"]
      end

      def escape(text)
        text.gsub(/[%\r\n]/, ESCAPES)
      end

      def error(error, context)
        path, line = error.location&.match(/\A(.+):(\d+)\z/)&.captures
        properties = { file: path&.delete_prefix("#{Dir.pwd}/"), line: line, title: "Step #{Name.show(error.step_name)}" }.compact
        command("error", properties, context.mask(Error.words(error)))
      end

      def command(name, properties, text)
        given = properties.map { |key, value| "#{key}=#{value.gsub(/[%\r\n:,]/, PROPERTY_ESCAPES)}" }.join(",")
        "::#{name}#{" #{given}" unless given.empty?}::#{escape(Text.plain(text)[0, 4_000])}"
      end
    end
  end
end
