# frozen_string_literal: true

require "flowline/cli"
require "flowline/rake_task"
require "flowline/testing"
require "json"
require "open3"
require "rbconfig"
require "yard"

# sig/ has a signature for everything that is public: what YARD documents without `@api private`.
module Signatures
  ROOT = File.expand_path("../..", __dir__)
  FILES = Dir.glob(File.join(ROOT, "sig/**/*.rbs")).freeze

  # Internal code that YARD takes for public, such as the commands of the command line.
  INTERNAL = /\AFlowline::(?:CLI::(?!Usage\z|COMMANDS\z)|Native|Planning::Forecast|Cache::LOCK\z)/

  # A class, module or interface in sig/. Its methods are named `#name` or `.name`.
  Namespace = Struct.new(:path, :kind, :superclass, :method_names, :constants) do
    # @return [Module]
    def loaded
      Object.const_get(path)
    end
  end

  # Reads the names in signatures, so that they can be checked without the rbs gem. A declaration begins on a line of its own.
  class Reader
    IGNORED = /\A(?:type \w+ = .+|(?:include|extend) [\w:]+|)\z/
    OPENING = /\A(class|module|interface) (\w+)(?: < ([\w:]+)(?:\[\w+\])?)?\z/
    METHOD = /\Adef (self\.)?(\S+): .*->/
    ATTRIBUTE = /\Aattr_(reader|writer|accessor) (\w+): ./
    CONSTANT = /\A([A-Z]\w*): ./

    attr_reader :namespaces

    def initialize
      @namespaces = {}
      @open = []
    end

    # @raise [ArgumentError] a line is no declaration, or an `end` is missing or too many
    def read(file)
      pending = nil
      File.readlines(file, chomp: true).each.with_index(1) do |line, number|
        line = line.sub(/\A\s*#.*/, "")
        pending = pending ? "#{pending} #{line.strip}" : line.strip
        next if pending.scan(/[(\[{]/).size > pending.scan(/[)\]}]/).size

        declare(pending) or raise ArgumentError, "#{file}:#{number}: #{pending}"
        pending = nil
      end
      raise ArgumentError, "#{file}: an end is missing" if pending || @open.any?
    end

    private

    def declare(line)
      case line
      when IGNORED then true
      when OPENING then enter(*Regexp.last_match.captures)
      when "end" then @open.pop
      when METHOD then @open.last.method_names << "#{Regexp.last_match(1) ? "." : "#"}#{Regexp.last_match(2)}"
      when ATTRIBUTE then attribute(*Regexp.last_match.captures)
      when CONSTANT then @open.last.constants << Regexp.last_match(1)
      end
    end

    def enter(kind, name, superclass)
      path = [@open.last&.path, name].compact.join("::")
      @open << (@namespaces[path] ||= Namespace.new(path, kind, superclass, [], []))
    end

    def attribute(kind, name)
      @open.last.method_names << "##{name}" unless kind == "writer"
      @open.last.method_names << "##{name}=" unless kind == "reader"
      true
    end
  end

  # The public API according to YARD and to the loaded classes.
  module Public
    module_function

    # @return [Hash{String => Array<String>}] by namespace, its methods as `#name` and `.name`
    def methods
      namespaces.to_h do |namespace|
        documented = namespace.meths(inherited: false, included: false)
        hidden, shown = documented.partition { |method| hidden?(method) || method.visibility != :public }
        [namespace.path, (names(shown) | defined_in(Object.const_get(namespace.path))) - names(hidden)]
      end
    end

    # @return [Array<String>] the paths of constants that are no namespaces
    def constants
      namespaces.flat_map do |namespace|
        owner = Object.const_get(namespace.path)
        paths = owner.constants(false).reject { |name| owner.const_get(name).is_a?(Module) }.map { |name| "#{namespace.path}::#{name}" }
        paths.reject { |path| path.match?(INTERNAL) || hidden?(YARD::Registry.at(path)) }
      end
    end

    def namespaces
      @namespaces ||= begin
        YARD::Logger.instance.enter_level(YARD::Logger::ERROR) { YARD.parse(Dir.glob("#{ROOT}/lib/**/*.rb")) }
        YARD::Registry.all(:class, :module).reject { |object| hidden?(object) || object.path.match?(INTERNAL) || internal?(object) }
      end
    end

    # @return [Boolean] whether it, or what it is in, is not for users
    def hidden?(object)
      return false if object.nil? || object.root?

      object.tag(:api)&.text == "private" || hidden?(object.namespace)
    end

    # @return [Boolean] whether the loaded code keeps it to itself
    def internal?(object)
      object.namespace.path != "" && !Object.const_get(object.namespace.path).constants(false).include?(object.name)
    end

    def names(methods)
      methods.map { |method| "#{method.scope == :class ? "." : "#"}#{method.name}" }
    end

    # Methods that are defined without `def`, which YARD does not see.
    def defined_in(owner)
      owner.public_instance_methods(false).map { |name| "##{name}" }
    end
  end

  # Reads the shapes of methods with the rbs gem, in a process without Bundler: rbs comes with Ruby.
  SHAPES = <<~'RUBY'
    begin
      require "rbs"
    rescue LoadError
      exit 3
    end
    require "json"

    def walk(declarations, path, found)
      declarations.each do |declaration|
        next unless declaration.respond_to?(:members) && declaration.class.name.match?(/::(Class|Module|Interface)\z/)

        inside = [*path, declaration.name.to_s.delete_prefix("::")]
        declaration.members.each do |member|
          next unless member.is_a?(RBS::AST::Members::MethodDefinition)

          types = member.respond_to?(:overloads) ? member.overloads.map(&:method_type) : member.types
          key = "#{inside.join("::")}#{member.kind == :singleton ? "." : "#"}#{member.name}"
          found[key] = types.map do |type|
            function = type.type
            { required: function.required_positionals.size, optional: function.optional_positionals.size, rest: !!function.rest_positionals,
              keys: function.required_keywords.keys, optional_keys: function.optional_keywords.keys, keyrest: !!function.rest_keywords }
          end
        end
        walk(declaration.members, inside, found)
      end
      found
    end

    files = ARGV.to_h { |file| [file, RBS::Parser.parse_signature(RBS::Buffer.new(name: file, content: File.read(file, encoding: "UTF-8")))] }
    puts JSON.generate(files.values.each_with_object({}) { |parsed, found| walk(parsed.flatten, [], found) })
  RUBY

  module_function

  def namespaces
    @namespaces ||= FILES.each_with_object(Reader.new) { |file, reader| reader.read(file) }.namespaces
  end

  # Runs Ruby without Bundler.
  # @return [Array(String, Process::Status)]
  def ruby(*arguments)
    Open3.capture2e({ "RUBYOPT" => nil, "BUNDLE_GEMFILE" => nil, "LANG" => "C.UTF-8" }, RbConfig.ruby, *arguments)
  end

  # @return [Hash{String => Array<Hash>}, nil] by method, its overloads; nil without rbs
  def shapes
    return @shapes if defined?(@shapes)

    output, status = ruby("-e", SHAPES, *FILES)
    raise output unless status.success? || status.exitstatus == 3

    @shapes = (JSON.parse(output, symbolize_names: true).transform_keys(&:to_s) if status.success?)
  end

  # @return [String, nil] how a signature differs from its method
  def difference(overload, parameters)
    kinds = parameters.group_by(&:first).transform_values { |list| list.map { |_, name| name.to_s } }
    required, optional = [kinds[:req], kinds[:opt]].map { |list| list.to_a.size }
    keys = overload[:keys] + overload[:optional_keys]
    known = kinds[:keyreq].to_a + kinds[:key].to_a
    wrong = [positional(overload, required, optional, kinds.key?(:rest))]
    wrong << "keywords #{(keys - known).join(", ")}" unless kinds.key?(:keyrest) || (keys - known).empty?
    wrong << "no keywords #{(known - keys).join(", ")}" unless overload[:keyrest] || (known - keys).empty?
    wrong << "required keywords" unless (kinds[:keyreq].to_a - overload[:keys]).empty? || overload[:keyrest]
    wrong.compact.first
  end

  def positional(overload, required, optional, rest)
    most = overload[:required] + overload[:optional]
    return "#{overload[:required]} required parameters" if overload[:required] < required || (!rest && overload[:required] > required)
    return "#{most} parameters" if most < required + optional || (!rest && most > required + optional)

    "any number of parameters" if overload[:rest] && !rest
  end

  # @return [Method, UnboundMethod] of `Flowline::Step#call` or `Flowline.define`
  def method(key)
    owner, kind, name = key.match(/\A(.+?)([#.])([^#.]+)\z/).captures
    owner = Object.const_get(owner)
    kind == "#" ? owner.instance_method(name) : owner.method(name)
  end
end

RSpec.describe "signatures in sig/" do
  let(:namespaces) { Signatures.namespaces }
  let(:loaded) { namespaces.each_value.reject { |namespace| namespace.kind == "interface" } }

  it "declare every public class and module" do
    expect(Signatures::Public.namespaces.map(&:path) - namespaces.keys).to be_empty
  end

  it "declare every public method" do
    missing = Signatures::Public.methods.flat_map do |path, methods|
      (methods - namespaces[path].method_names).map { |name| "#{path}#{name}" }
    end
    expect(missing).to be_empty
  end

  it "declare every public constant" do
    declared = namespaces.each_value.flat_map { |namespace| namespace.constants.map { |name| "#{namespace.path}::#{name}" } }
    expect(Signatures::Public.constants - declared).to be_empty
  end

  it "name only classes that exist, with their superclasses" do
    loaded.each do |namespace|
      found = namespace.loaded
      expect(found).to be_a(namespace.kind == "class" ? Class : Module)
      expect(found.superclass.name[/\w+\z/]).to eq((namespace.superclass || "Object")[/\w+\z/]), namespace.path if found.is_a?(Class)
    end
  end

  it "name only methods and constants that exist" do
    unknown = loaded.flat_map do |namespace|
      methods = namespace.method_names.reject { |name| Signatures.method("#{namespace.path}#{name}") rescue false } # rubocop:disable Style/RescueModifier
      constants = namespace.constants.reject { |name| namespace.loaded.const_defined?(name, false) }
      [*methods, *constants].map { |name| "#{namespace.path} #{name}" }
    end
    expect(unknown).to be_empty
  end

  it "declare every method of a store" do
    declared = namespaces.fetch("Flowline::Store::_Protocol").method_names
    expect(declared).to match_array((Flowline::Store::SQLite.public_instance_methods - Object.public_instance_methods).map { |name| "##{name}" } - ["#inspect"])
  end

  context "with the rbs gem" do
    let(:shapes) { Signatures.shapes || skip("needs rbs") }

    # The interface of stores, as the methods of the store that implements it; the others belong to users.
    def implemented(shapes)
      shapes.transform_keys { |key| key.sub("Store::_Protocol", "Store::SQLite") }.reject { |key, _| key.match?(/::_/) }
    end

    it "have the parameters of their methods" do
      differences = implemented(shapes).flat_map do |key, overloads|
        overloads.filter_map do |overload|
          wrong = Signatures.difference(overload, Signatures.method(key).parameters)
          "#{key}: #{wrong}" if wrong
        end
      end
      expect(differences).to be_empty
    end

    it "list the options that the tables of options have" do
      tables = { "Flowline.define" => :DEFINE, "Flowline::Definition::Dsl#step" => :STEP, "Flowline::Definition::Dsl#include" => :INCLUDE,
                 "Flowline::Pipeline#run" => :RUN, "Flowline::Pipeline#include" => :INCLUDE }
      tables.each do |key, table|
        listed = shapes.fetch(key).first.values_at(:keys, :optional_keys).flatten.map(&:to_sym)
        expect(listed).to match_array(Flowline::Definition::Options.const_get(table).keys), key
      end
    end

    it "are valid" do
      shapes
      script = 'gem "rbs"; load Gem.bin_path("rbs", "rbs")'
      output, status = Signatures.ruby("-e", script, "--", "-I", File.join(Signatures::ROOT, "sig"), "validate")
      expect(status).to be_success, output.lines.grep_v(/\AValidating /).join
    end
  end
end
