# frozen_string_literal: true

require "ripper"

module Pack
  # Ruby without what only its readers in the repository need: comments and indentation. Lines are emptied, never taken
  # away, so a backtrace names the lines of the repository. Ripper tells what only looks like a comment or an
  # indentation: what stands in strings and heredocs, and after `__END__`.
  module Ruby
    # Comments that Ruby or the system reads.
    MAGIC = /\A#(!|.*\b(frozen[_-]string[_-]literal|(en)?coding|warn[_-]indent|shareable[_-]constant[_-]value)\s*[:=])/i

    class << self
      # The same program.
      def pack(text)
        tokens = Ripper.lex(text)
        code = tokens.map { |_, _, token| token }.join
        packed = +""
        tokens.each_with_index do |((_, column), kind, token), index|
          case kind
          when :on_sp then packed << (column.zero? ? token.sub(/\A[ \t]+/, "") : token)
          when :on_comment then comment(token, packed, within_chain: chain?(tokens.drop(index + 1)))
          when :on_embdoc_beg, :on_embdoc, :on_embdoc_end then packed << "\n"
          else packed << token
          end
        end
        packed << text.delete_prefix(code) # What follows `__END__` is no token.
      end

      private

      def comment(token, packed, within_chain:)
        return packed << token if token.match?(MAGIC)

        packed.sub!(/[ \t]+\z/, "")
        packed << "#" if within_chain
        packed << "\n" if token.end_with?("\n")
      end

      # Whether a call's dot comes next: Ruby lets comments stand before it, but no empty line.
      def chain?(rest)
        following = rest.find { |_, kind, _| !%i[on_sp on_comment].include?(kind) }
        following && (following[1] == :on_period || following[2] == "&.")
      end
    end
  end
end
