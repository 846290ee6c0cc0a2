# frozen_string_literal: true

# Finds words that code and documentation avoid, because readers whose first language is not English stumble over them.
# A program lists where they are, as FILE:LINE, and exits with 1 if there are any:
#
#   ruby spec/support/words.rb            # everything that spec/unit/words_spec.rb checks
#   ruby spec/support/words.rb lib ext    # these folders and files
#
# In a Markdown page, output that a block shows is not checked: its words are those of lib/, and are checked there.
module Words
  ROOT = File.expand_path("../..", __dir__)

  # The folders and files that are checked. Every folder with text for people belongs here.
  CHECKED = %w[README.md CHANGELOG.md CONTRIBUTING.md RELEASING.md SECURITY.md docs examples sig lib ext bin benchmarks rakelib .github
               flowline.gemspec spec/packaging_spec.rb spec/support spec/torture spec/fuzz spec/unit/words_spec.rb spec/unit/signatures_spec.rb].freeze

  SOURCES = "*.{md,rb,rbs,rs,rake,yml,toml,gemspec}"
  # Files that need the words: this one, and the spec that tests it.
  OWN = %w[spec/support/words.rb spec/unit/words_spec.rb].freeze

  # What is avoided, and what to write instead. A space stands for any white space, a line's comment sign included.
  AVOIDED = {
    "told" => "notified, reported",
    "in vain" => "without success",
    "(?:come|comes|coming|came) to (?:an|its|their) end" => "end, finish",
    "at hand" => "available",
    "beside" => "next to, as well as, in addition to",
    "anew" => "again",
    "(?:mend|mends|mended|mending)" => "fix, repair",
    "kept" => "stored, recorded, preserved",
    "such as (?:it|they) (?:is|are)" => "as it is",
    "(?:the|its own|their own) affair(?: of)?" => "depends on",
    "(?:make|makes|made) nothing" => "creates nothing",
    "(?:leave|leaves|left) (?:in|it in|them in) peace" => "skip, ignore",
    "once more" => "again",
    "to go on" => "to continue, to resume"
  }.freeze
  # A sentence does not start with these.
  STARTS = %w[Who Whoever What Those Nobody Else].freeze

  SPACE = '(?:\s+(?:(?:#+|//[/!]?|\*|>)\s+)?)'
  PATTERNS = [
    *AVOIDED.map { |words, instead| [/\b#{words.gsub(" ", SPACE)}\b/i, "write #{instead}"] },
    [/\b(?:#{STARTS.join("|")})\b/, "start the sentence with a noun or a verb"]
  ].freeze

  Offence = Struct.new(:file, :line, :words, :advice) do
    def to_s
      "#{file}:#{line}: \"#{words}\": #{advice}"
    end
  end

  module_function

  # @param paths [Array<String>] folders and files, relative to the root
  # @return [Array<Offence>]
  def offences(paths)
    files(paths).flat_map { |file| check(file, File.read(File.join(ROOT, file), encoding: "UTF-8")) }
  end

  def files(paths)
    found = paths.flat_map do |path|
      full = File.join(ROOT, path)
      File.directory?(full) ? Dir.glob("#{path}/**/#{SOURCES}", base: ROOT) : Dir.glob(path, base: ROOT)
    end
    found.uniq.sort - OWN
  end

  # @param file [String] its name
  # @param text [String] its content
  # @return [Array<Offence>]
  def check(file, text)
    text = without_output(text) if file.end_with?(".md")
    found = PATTERNS.flat_map do |pattern, advice|
      text.to_enum(:scan, pattern).map do
        match = Regexp.last_match
        Offence.new(file, match.pre_match.count("\n") + 1, match[0].gsub(/#{SPACE}/o, " "), advice)
      end
    end
    found.sort_by(&:line)
  end

  # The same lines, those of shown output left empty.
  def without_output(text)
    text.gsub(/^```(console|output)\n.*?^```$/m) do |block|
      shown = Regexp.last_match(1) == "output"
      block.lines.map { |line| shown || !line.match?(/\A(\$|```)/) ? "\n" : line }.join
    end
  end
end

if $PROGRAM_NAME == __FILE__
  found = Words.offences(ARGV.empty? ? Words::CHECKED : ARGV)
  puts found
  warn "#{found.size} in #{found.map(&:file).uniq.size} files"
  exit found.empty?
end
