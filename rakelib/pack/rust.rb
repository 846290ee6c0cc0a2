# frozen_string_literal: true

require "strscan"

module Pack
  # A Rust crate as one file of bare tokens, since nobody reads what is compiled once. `mod x;` becomes `mod x{…}` with
  # the file's content; comments go, and documentation with them; space stays only where two tokens would become others
  # without it. What a macro gets is the same tokens; macros that look at the source itself may not be there.
  module Rust
    SPACE = %r{(?:(?<comment>/\*(?:[^/*]|/(?!\*)|\*(?!/)|\g<comment>)*\*/)|//[^\n]*|\s)+}
    TOKEN = /
      (?:br|cr|r)(?<raw>\#*)"(?m:.*?)"\k<raw>          # raw strings
      | [bc]?"(?:[^"\\]|\\(?m:.))*"                    # strings
      | b?'(?:[^'\\\n]|\\(?:u\{\h[\h_]*\}|x\h\h|.))'   # characters
      | '[[:alpha:]_][[:word:]]*                       # lifetimes, which no quote ends
      | (?:r\#)?[[:alpha:]_][[:word:]]*
      | 0[xob][\h_][[:word:]]*
      | \d[\d_]*(?:\.\d[\d_]*|\.(?![.[:alpha:]_]))?(?:[eE][+-]?[\d_]+)?[[:word:]]* # `1.5e3f64` and `1.`; not `1..2`, `1.max`
      | [^\s[:word:]"'\\`]                             # punctuation, one by one
    /x

    # Two characters that say something else with a space between them.
    TELLING = %r{[[:word:]"'#]["'#[:word:]]|\d\.|\.[[:word:].]|::|->|<-|[=!<>+\-*/%^&|.]=|=>|&&|\|\||<<|>>|//|/\*|\*/}

    # Macros whose value depends on where in which file they are, or on how their argument is written.
    FORBIDDEN = %w[column file include include_bytes include_str line stringify].freeze

    class << self
      # The crate whose root this file is.
      def pack(file)
        last = ""
        unit(file, File.dirname(file)).map do |token, space|
          telling = space && (last[-1].to_s + token[0]).match?(TELLING)
          last = token
          telling ? " #{token}" : token
        end.join
      end

      private

      # The tokens of a file, and of the modules it names, which are in this directory.
      def unit(file, directory)
        depth = 0
        tokens(file).each_with_object([]) do |(token, space), unit|
          depth += { "{" => 1, "}" => -1 }.fetch(token, 0)
          next unit << [token, space] unless token == ";" && unit.dig(-2, 0) == "mod" && !for_tests?(unit)

          name = unit.last.first.delete_prefix("r#")
          raise ArgumentError, "#{file}: `mod #{name};` inside braces is not followed" if depth.positive?

          unit.push(["{", false], *submodule(File.join(directory, name)), ["}", false])
        end
      end

      def submodule(path)
        file = ["#{path}.rs", "#{path}/mod.rs"].find { |candidate| File.file?(candidate) }
        unit(file || raise(ArgumentError, "#{path}.rs is missing"), path)
      end

      # The compiler never looks for the file of a module that is for tests.
      def for_tests?(unit)
        unit.last(9).first(7).map(&:first) == %w[# [ cfg ( test ) ]]
      end

      # Each with whether space stands before it.
      def tokens(file)
        scanner = StringScanner.new(File.read(file))
        tokens = []
        until scanner.eos?
          space = scanner.skip(SPACE)
          break if scanner.eos?

          token = scanner.scan(TOKEN) or raise ArgumentError, "#{file}: no Rust: #{scanner.rest[/.*/].inspect}"
          tokens << [token, space]
        end
        refuse(tokens.map(&:first), file)
        tokens
      end

      def refuse(words, file)
        words.each_cons(3) do |name, mark, opening|
          macro = FORBIDDEN.include?(name) && mark == "!" && "([{".include?(opening)
          raise ArgumentError, "#{file}: packed, #{name}! would give something else" if macro
          raise ArgumentError, "#{file}: #[path] is not followed" if [name, mark, opening] == ["#", "[", "path"]
        end
      end
    end
  end
end
