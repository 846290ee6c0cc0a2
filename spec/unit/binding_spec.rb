# frozen_string_literal: true

# In the tables: c is the context, i the input, 1 2 3 are the outputs of the dependencies d1 d2 d3, {12} is
# a Hash of them by name, [12] an Array, p the param p, - a default that is kept, and ! an error.
module SignatureTable
  ROWS = [
    # declares            none     input    1        2         3
    ["",                  "",      "",      "",      "",       ""],
    ["a",                 "c",     "i",     "1",     "{12}",   "{123}"],
    ["a, b",              "!",     "i c",   "1 c",   "1 2",    "!"],
    ["a, b, c",           "!",     "!",     "!",     "1 2 c",  "1 2 3"],
    ["a, b, c, d",        "!",     "!",     "!",     "!",      "1 2 3 c"],
    ["a = 0",             "-",     "i",     "1",     "{12}",   "{123}"],
    ["a, b = 0",          "c -",   "i -",   "1 -",   "1 2",    "!"],
    ["a = 0, b",          "- c",   "- i",   "- 1",   "1 2",    "!"],
    ["a = 0, b = 0",      "- -",   "i -",   "1 -",   "1 2",    "!"],
    ["a, b = 0, c = 0",   "c - -", "i - -", "1 - -", "1 2 -",  "1 2 3"],
    ["a, b = 0, c",       "!",     "i - c", "1 - c", "1 - 2",  "1 2 3"],
    ["*r",                "[]",    "[i]",   "[1]",   "[12]",   "[123]"],
    ["a, *r",             "c []",  "i []",  "1 []",  "1 [2]",  "1 [23]"],
    ["a, *r, z",          "!",     "i [] c", "1 [] c", "1 [] 2", "1 [2] 3"],
    ["a = 0, *r",         "- []",  "i []",  "1 []",  "1 [2]",  "1 [23]"],
    ["a = 0, *r, z",      "- [] c", "- [] i", "- [] 1", "1 [] 2", "1 [2] 3"],
    ["*r, z",             "[] c",  "[] i",  "[] 1",  "[1] 2",  "[12] 3"],
    ["**k",               "{}",    "{}",    "{1}",   "{12}",   "{123}"],
    ["a, **k",            "c {}",  "i {}",  "1 {}",  "{12} {}", "{123} {}"],
    ["a = 0, **k",        "- {}",  "i {}",  "1 {}",  "{12} {}", "{123} {}"],
    ["a, b, **k",         "!",     "i c {}", "1 c {}", "1 2 {}", "1 2 {3}"],
    ["*r, **k",           "[] {}", "[i] {}", "[1] {}", "[12] {}", "[123] {}"],
    ["ctx",               "c",     "c",     "c",     "c",      "c"],
    ["context",           "c",     "c",     "c",     "c",      "c"],
    ["ctx = 0",           "c",     "c",     "c",     "c",      "c"],
    ["a, ctx",            "c c",   "i c",   "1 c",   "{12} c", "{123} c"],
    ["ctx, a",            "c c",   "c i",   "c 1",   "c {12}", "c {123}"],
    ["a = 0, ctx",        "- c",   "i c",   "1 c",   "{12} c", "{123} c"],
    ["a, b, ctx",         "!",     "i c c", "1 c c", "1 2 c",  "!"],
    ["a, b = 0, ctx",     "c - c", "i - c", "1 - c", "1 2 c",  "!"],
    ["ctx, *r",           "c []",  "c [i]", "c [1]", "c [12]", "c [123]"],
    ["ctx:",              "c",     "c",     "c",     "c",      "c"],
    ["context: 0",        "c",     "c",     "c",     "c",      "c"],
    ["a, ctx:",           "c c",   "i c",   "1 c",   "{12} c", "{123} c"],
    ["d1:",               "!",     "!",     "1",     "1",      "1"],
    ["d1: 0",             "-",     "-",     "1",     "1",      "1"],
    ["d3:, d1: 0",        "!",     "!",     "!",     "!",      "3 1"],
    ["a, d1:",            "!",     "!",     "c 1",   "2 1",    "{23} 1"],
    ["a, d1: 0",          "c -",   "i -",   "c 1",   "2 1",    "{23} 1"],
    ["a, b, d1:",         "!",     "!",     "!",     "2 c 1",  "2 3 1"],
    ["a = 0, d2: 0",      "- -",   "i -",   "1 -",   "1 2",    "{13} 2"],
    ["a, b = 0, d1:",     "!",     "!",     "c - 1", "2 - 1",  "2 3 1"],
    ["*r, d1: 0",         "[] -",  "[i] -", "[] 1",  "[2] 1",  "[23] 1"],
    ["a, *r, d2: 0",      "c [] -", "i [] -", "1 [] -", "1 [] 2", "1 [3] 2"],
    ["d2: 0, **k",        "- {}",  "- {}",  "- {1}", "2 {1}",  "2 {13}"],
    ["a, d1: 0, **k",     "c - {}", "i - {}", "c 1 {}", "2 1 {}", "{23} 1 {}"],
    ["p:",                "p",     "p",     "p",     "p",      "p"],
    ["a, p: 0",           "c p",   "i p",   "1 p",   "{12} p", "{123} p"],
    ["&blk",              "",      "",      "",      "",       ""],
    ["a, &blk",           "c",     "i",     "1",     "{12}",   "{123}"],
    ["**nil",             "",      "",      "",      "",       ""]
  ].freeze

  # The same for a step that is called for each item: i is the item; with no other dependency, one and two.
  ITEM_ROWS = [
    ["",                "", "", ""],
    ["a",               "i", "i", "i"],
    ["a, b",            "i c", "i 1", "i {12}"],
    ["a, b, c",         "!", "i 1 c", "i 1 2"],
    ["a, b, c, d",      "!", "!", "i 1 2 c"],
    ["a = 0",           "i", "i", "i"],
    ["a, b = 0",        "i -", "i 1", "i {12}"],
    ["a = 0, b",        "- i", "i 1", "i {12}"],
    ["a = 0, b = 0",    "i -", "i 1", "i {12}"],
    ["a, b = 0, c = 0", "i - -", "i 1 -", "i 1 2"],
    ["a, b = 0, c",     "i - c", "i - 1", "i 1 2"],
    ["*r",              "[i]", "[i1]", "[i12]"],
    ["a, *r",           "i []", "i [1]", "i [12]"],
    ["a, *r, z",        "i [] c", "i [] 1", "i [1] 2"],
    ["a = 0, *r",       "i []", "i [1]", "i [12]"],
    ["a = 0, *r, z",    "- [] i", "i [] 1", "i [1] 2"],
    ["*r, z",           "[] i", "[i] 1", "[i1] 2"],
    ["**k",             "{}", "{1}", "{12}"],
    ["a, **k",          "i {}", "i {1}", "i {12}"],
    ["a = 0, **k",      "i {}", "i {1}", "i {12}"],
    ["a, b, **k",       "i c {}", "i 1 {}", "i {12} {}"],
    ["*r, **k",         "[i] {}", "[i1] {}", "[i12] {}"],
    ["ctx",             "c", "c", "c"],
    ["context",         "c", "c", "c"],
    ["ctx = 0",         "c", "c", "c"],
    ["a, ctx",          "i c", "i c", "i c"],
    ["ctx, a",          "c i", "c i", "c i"],
    ["a = 0, ctx",      "i c", "i c", "i c"],
    ["a, b, ctx",       "i c c", "i 1 c", "i {12} c"],
    ["a, b = 0, ctx",   "i - c", "i 1 c", "i {12} c"],
    ["ctx, *r",         "c [i]", "c [i1]", "c [i12]"],
    ["ctx:",            "c", "c", "c"],
    ["context: 0",      "c", "c", "c"],
    ["a, ctx:",         "i c", "i c", "i c"],
    ["d1:",             "!", "1", "1"],
    ["d1: 0",           "-", "1", "1"],
    ["d3:, d1: 0",      "!", "!", "!"],
    ["a, d1:",          "!", "i 1", "i 1"],
    ["a, d1: 0",        "i -", "i 1", "i 1"],
    ["a, b, d1:",       "!", "i c 1", "i 2 1"],
    ["a = 0, d2: 0",    "i -", "i -", "i 2"],
    ["a, b = 0, d1:",   "!", "i - 1", "i 2 1"],
    ["*r, d1: 0",       "[i] -", "[i] 1", "[i2] 1"],
    ["a, *r, d2: 0",    "i [] -", "i [1] -", "i [1] 2"],
    ["d2: 0, **k",      "- {}", "- {1}", "2 {1}"],
    ["a, d1: 0, **k",   "i - {}", "i 1 {}", "i 1 {2}"],
    ["p:",              "p", "p", "p"],
    ["a, p: 0",         "i p", "i p", "i p"],
    ["&blk",            "", "", ""],
    ["a, &blk",         "i", "i", "i"],
    ["**nil",           "", "", ""]
  ].freeze

  # Parameters that only blocks can have: their bodies.
  BLOCKS_ONLY = {
    "[_1]" => "a", "[_1, _2]" => "a, b", "[_1, _2, _3]" => "a, b, c",
    **(RUBY_VERSION >= "3.4" ? { "[it]" => "a" } : {})
  }.freeze

  # How a callable with these parameters is written.
  FORMS = {
    "a block" => "step(:s, depends_on: on) { |%<params>s| %<body>s }",
    "a lambda" => "step(:s, ->(%<params>s) { %<body>s }, depends_on: on)",
    "a Method" => "o = Object.new; def o.work(%<params>s) = (%<body>s); step(:s, o.method(:work), depends_on: on)",
    "an object with call" => "o = Object.new; def o.call(%<params>s) = (%<body>s); step(:s, o, depends_on: on)",
    "a class with .call" => "step(:s, Class.new { def self.call(%<params>s) = (%<body>s) }, depends_on: on)",
    "a class with #call" => "step(:s, Class.new { def call(%<params>s) = (%<body>s) }, depends_on: on)",
    "a subclass of Step" => "step(:s, Class.new(Flowline::Step) { def call(%<params>s) = (%<body>s) }, depends_on: on)",
    "a Step" => "step(:s, Flowline::Step.new(:other) { |%<params>s| %<body>s }, depends_on: on)"
  }.freeze

  # Values that Ruby might take apart: an Array, something that can become one, a Hash; and those that are false.
  KINDS = {
    "Arrays" => ->(n) { [n, [n]] },
    "empty Arrays" => ->(_) { [] },
    "objects with to_ary" => ->(n) { Object.new.tap { |o| o.define_singleton_method(:to_ary) { [n, n] } } },
    "Hashes" => ->(n) { { n => n } },
    "nils" => ->(_) {},
    "falses" => ->(_) { false }
  }.freeze

  COLUMNS = { "no dependency" => [0, false], "no dependency, but an input" => [0, true], "one dependency" => [1, false],
              "two dependencies" => [2, false], "three dependencies" => [3, false] }.freeze

  module_function

  def variables(params)
    params.scan(/[a-z]\w*/).reject { |name| %w[blk nil].include?(name) }
  end

  def code(params)
    params.gsub("= 0", "= :default").gsub(": 0", ": :default")
  end

  def body(params)
    "[#{variables(params).join(", ")}]"
  end

  # A pipeline whose step :s depends on steps with these outputs and returns what it was given.
  def pipeline(text, outputs, bare: true)
    on = outputs.keys
    steps = on.map { |name| "step(:#{name}) { outputs[:#{name}] }" }
    words = ["param :p, default: :p", *steps, text]
    body = words.join("; ")
    body = "|w| #{body.gsub(/(?<![.\w])(step|param)(?=[( ])/, 'w.\1')}" unless bare
    eval("Flowline.define { #{body} }", binding, "(a table)") # rubocop:disable Security/Eval, Style/EvalWithLocation
  end

  # What came, in the words of the table.
  def render(values, outputs, input)
    values.map { |value| render_one(value, outputs, input) }.join(" ")
  end

  def render_one(value, outputs, input)
    return "c" if value.is_a?(Flowline::Context)
    return "-" if value.equal?(:default)
    return "p" if value.equal?(:p)
    return value.inspect if value.nil? || value.equal?(false)

    name, = outputs.find { |_, output| output.equal?(value) }
    return name[-1] if name
    return "i" if value.equal?(input)

    case value
    when Array then "[#{value.map { |inner| render_one(inner, outputs, input) }.join}]"
    when Hash then "{#{value.map { |key, inner| outputs.fetch(key).equal?(inner) ? key[-1] : "?" }.join}}"
    else "?"
    end
  end

  # An expectation of the table, for outputs and an input that cannot be told apart.
  def in_terms_of(value, expected)
    return expected unless value.nil? || value.equal?(false)

    expected.gsub(/\{\d*\}|[\di]/) { |mark| mark.start_with?("{") ? mark : value.inspect }
  end
end

RSpec.describe "The arguments of a callable", executor: :in_process do
  table = SignatureTable

  # Runs the step and says in the words of the table what it was given.
  def given(text, count, input, kind, bare: true)
    outputs = (1..count).to_h { |n| [:"d#{n}", kind.call(n)] }
    arguments = input ? { input: kind.call(0) } : {}
    values = SignatureTable.pipeline(text, outputs, bare: bare).run!(**arguments)[:s].output
    SignatureTable.render(values, outputs, arguments[:input])
  rescue Flowline::DefinitionError
    "!"
  end

  def check(text, expected, **options)
    SignatureTable::COLUMNS.each_value.with_index do |(count, input), column|
      SignatureTable::KINDS.each do |name, kind|
        wanted = SignatureTable.in_terms_of(kind.call(0), expected[column])
        wanted = expected[column] if name == "empty Arrays"
        inputs = count.zero? ? [input] : [false, true] # An input changes nothing for a step with dependencies.
        inputs.each do |run_input|
          expect(given(text, count, run_input, kind, **options)).to eq(wanted), lambda {
            "#{text} with #{count} #{name}#{" and an input" if run_input}: expected #{wanted.inspect}, " \
              "got #{given(text, count, run_input, kind, **options).inspect}"
          }
        end
      end
    end
  end

  table::FORMS.each do |form, text|
    describe form do
      table::ROWS.each do |params, *expected|
        it "that declares (#{params})" do
          check(format(text, params: table.code(params), body: table.body(params)), expected)
        end
      end
    end
  end

  describe "a block in the form with a parameter" do
    text = table::FORMS.fetch("a block")

    table::ROWS.each do |params, *expected|
      it "that declares (#{params})" do
        check(format(text, params: table.code(params), body: table.body(params)), expected, bare: false)
      end
    end
  end

  describe "a step that is called for each item" do
    # What the step is given for its item, which is of that kind as the others are.
    def given_item(text, count, kind)
      item = kind.call(0)
      outputs = { items: [item], **(1..count).to_h { |n| [:"d#{n}", kind.call(n)] } }
      values = SignatureTable.pipeline(text.sub("depends_on: on", "each: :items, depends_on: on"), outputs).run!(input: :never)[:s].output.first
      SignatureTable.render(values, outputs.except(:items), item)
    rescue Flowline::DefinitionError
      "!"
    end

    table::FORMS.each do |form, text|
      table::ITEM_ROWS.each do |params, *expected|
        it "given as #{form} that declares (#{params})" do
          code = format(text, params: table.code(params), body: table.body(params))
          table::KINDS.slice("Arrays", "Hashes").each_value do |kind|
            expect((0..2).map { |count| given_item(code, count, kind) }).to eq(expected)
          end
        end
      end
    end

    it "has a row for every shape of the table of other steps" do
      expect(table::ITEM_ROWS.map(&:first)).to eq(table::ROWS.map(&:first))
    end
  end

  describe "numbered parameters" do
    table::BLOCKS_ONLY.each do |body, like|
      it "in #{body} are bound as (#{like})" do
        _, *expected = table::ROWS.assoc(like)

        check("step(:s, depends_on: on) { #{body} }", expected)
        check("step(:s, depends_on: on) { #{body} }", expected, bare: false)
        check("step(:s, -> { #{body} }, depends_on: on)", expected)
      end
    end
  end

  # The same tables for the function alone. The body of a method never takes an Array apart: it shows where each source goes.
  describe Flowline::Arguments::Binding do
    def sources(params, count, input)
      receiver = Object.new
      receiver.instance_eval("def call(#{SignatureTable.code(params)}) = #{SignatureTable.body(params)}", __FILE__, __LINE__) # def call(a) = [a]
      outputs = (1..count).to_h { |n| [:"d#{n}", Object.new] }
      binding = described_class.resolve(receiver.method(:call).parameters, dependencies: outputs.keys, params: [:p], input: input)
      return "!" unless binding.problems.empty?

      SignatureTable.render(apply(receiver, binding, outputs), outputs, :input).gsub("?", "i")
    end

    def apply(receiver, binding, outputs)
      value = lambda do |source|
        case source
        when Symbol then outputs.fetch(source)
        when described_class::Outputs then outputs.slice(*source.names)
        when described_class::Parameter then source.name
        else source.equal?(described_class::CONTEXT) ? Flowline::Context.allocate : Object.new
        end
      end
      receiver.call(*binding.positional.map(&value), **binding.keywords.transform_values(&value))
    end

    table::ROWS.each do |params, *expected|
      it "resolves (#{params})" do
        found = table::COLUMNS.each_value.map { |count, input| sources(params, count, input) }

        expect(found).to eq(expected)
      end
    end

    it "puts the item first" do
      binding = described_class.resolve([%i[req ctx], %i[req row], %i[req a]], dependencies: %i[d1], first: described_class::ITEM)

      expect(binding.positional).to eq([described_class::CONTEXT, described_class::ITEM, :d1])
      expect(described_class.resolve([], dependencies: %i[d1], first: described_class::ITEM).positional).to eq([])
    end

    it "is frozen, and depends on its arguments only" do
      resolve = -> { described_class.resolve([%i[req a], %i[key d2]], dependencies: %i[d1 d2]) }

      expect(resolve.call).to be_frozen
      expect([resolve.call.positional, resolve.call.keywords]).to eq([[:d1], { d2: :d2 }])
    end
  end

  describe "parameters that destructure their argument" do
    it "get the whole argument" do
      pipeline = Flowline.define do
        step(:rows) { [1, [2, 3]] }
        step(:one, depends_on: :rows) { |(a, b)| [a, b] }
        step(:two, depends_on: :rows) { |(a, (b, c)), ctx| [a, b, c, ctx.class] }
        step(:three, ->((a, *b)) { [a, b] }, depends_on: :rows)
        step(:four, depends_on: %i[rows one]) { |(a, b), one:| [a, b, one] }
      end

      expect(pipeline.run!.outputs).to include(one: [1, [2, 3]], two: [1, 2, 3, Flowline::Context], three: [1, [[2, 3]]],
                                               four: [1, [2, 3], [1, [2, 3]]])
    end
  end

  describe "a symbol as a block" do
    it "is sent to the first output, with the others" do
      pipeline = Flowline.define do
        step(:a) { 3 }
        step(:b) { 4 }
        step(:next, depends_on: :a, &:succ)
        step(:sum, :+.to_proc, depends_on: %i[a b])
        step(:id, &:run_id)
      end
      result = pipeline.run!

      expect(result.outputs).to include(next: 4, sum: 7, id: result.run_id)
    end
  end

  describe "a keyword parameter" do
    # What `step :s` is given by a keyword of this name.
    def keyword(name, on:, params: {}, default: nil)
      declared = default ? "#{name}: :default" : "#{name}:"
      callable = eval("->(#{declared}) { #{name} }", nil, "(a table)") # rubocop:disable Style/EvalWithLocation, Security/Eval
      pipeline = Flowline.define do |p|
        params.each { |param, value| p.param(param, default: value) }
        on.each { |dependency| p.step(dependency) { dependency } }
        p.step(:s, callable, depends_on: on)
      end
      output_of(pipeline, :s)
    end

    it "takes the dependency of exactly that name first" do
      expect(keyword(:csv, on: %i[export_csv csv], params: { csv: :param })).to eq(:csv)
      expect(keyword(:ctx, on: %i[ctx])).to eq(:ctx)
    end

    it "takes the param of that name if there is no such dependency" do
      expect(keyword(:csv, on: %i[export_csv], params: { csv: :param })).to eq(:param)
      expect(keyword(:ctx, on: [], params: { ctx: :param })).to eq(:param)
    end

    it "takes the context if it is ctx: or context: and nothing else has that name" do
      expect(keyword(:ctx, on: %i[my_ctx])).to be_a(Flowline::Context)
      expect(keyword(:context, on: %i[my_context])).to be_a(Flowline::Context)
    end

    it "takes the only dependency whose name ends in it otherwise" do
      expect(keyword(:users, on: %i[fetch_users fetch_products])).to eq(:fetch_users)
      expect(keyword(:users, on: %i[fetch_all_users users_fetch])).to eq(:fetch_all_users)
      expect(keyword(:all_users, on: %i[fetch_all_users])).to eq(:fetch_all_users)
    end

    it "does not take a dependency whose name only ends in the same letters" do
      expect { keyword(:sers, on: %i[fetch_users]) }.to refuse(/keyword sers:/)
      expect(keyword(:sers, on: %i[fetch_users], default: true)).to eq(:default)
    end

    it "uses its default if nothing has that name" do
      expect(keyword(:json, on: %i[export_csv], default: true)).to eq(:default)
    end

    it "raises and names both if two dependencies match, even if it has a default" do
      [false, true].each do |default|
        expect { keyword(:csv, on: %i[export_csv import_csv], default: default) }
          .to refuse(/step s keyword csv: could be export_csv: and import_csv:/)
      end
    end

    it "raises with the nearest or all available names if nothing matches" do
      expect { keyword(:exprot_csv, on: %i[export_csv]) }
        .to refuse(/step s keyword exprot_csv: .*did you mean export_csv\?/)
      expect { keyword(:limt, on: [], params: { limit: 1 }) }.to refuse(/did you mean limit\?/)
      expect { keyword(:zzz, on: %i[fetch], params: { limit: 1 }) }
        .to refuse(/zzz: is neither a dependency nor a param; available are fetch, limit, ctx/)
    end

    it "may take the same dependency as another keyword" do
      pipeline = Flowline.define do
        step(:export_csv) { 1 }
        step(:s, depends_on: :export_csv) { |csv:, export_csv:| [csv, export_csv] }
      end

      expect(output_of(pipeline, :s)).to eq([1, 1])
    end
  end

  describe "parameters without a source" do
    # @yield the words of the pipeline
    def raised_by(words, *moments)
      pipeline = Flowline.define(&words)
      moments.to_h { |moment| [moment, error_of { pipeline.public_send(moment) }] }
    end

    {
      "more positionals than can ever come" => lambda { |p|
        p.step(:a) { 1 }
        p.step(:s, depends_on: :a) { |_x, _y, _z| 1 }
      },
      "fewer positionals than dependencies, but more than one" => lambda { |p|
        %i[a b c].each { |name| p.step(name) { 1 } }
        p.step(:s, depends_on: %i[a b c]) { |_x, _y| 1 }
      },
      "an ambiguous keyword" => lambda { |p|
        %i[a_v b_v].each { |name| p.step(name) { 1 } }
        p.step(:s, depends_on: %i[a_v b_v]) { |v:| v }
      },
      "an ambiguous keyword of a condition" => lambda { |p|
        %i[a_v b_v].each { |name| p.step(name) { 1 } }
        p.step(:s, depends_on: %i[a_v b_v], when: ->(_ctx, v:) { v }) { 1 }
      }
    }.each do |what, words|
      it "raise when define returns, and name the step: #{what}" do
        expect { Flowline.define(&words) }.to refuse(/\Astep s .*\(#{__FILE__}:\d+\)\z/)
      end
    end

    it "raise at validate! and run if an including pipeline could supply the keyword" do
      words = ->(p) { p.step(:s) { |limit:| limit } }

      raised_by(words, :validate!, :run).each_value do |error|
        expect(error.message).to match(/\Astep s keyword limit: is neither a dependency nor a param/)
      end
      included = Flowline.define(&words)
      expect(output_of(Flowline.define { include included; param :limit, default: 3 }, :s)).to eq(3) # rubocop:disable Style/Semicolon
    end

    it "raise only without input: for a root that takes an input and the context" do
      pipeline = Flowline.define { step(:s) { |a, b| [a, b.class] } }

      expect(pipeline.validate!).to be(true)
      expect(output_of(pipeline, :s, input: [1])).to eq([[1], Flowline::Context])
      expect { pipeline.run }.to refuse(/step s takes 2 values by position, .*and the run's input: if it is given one/)
    end

    it "raise before anything has run" do
      ran = false
      pipeline = Flowline.define do
        step(:first) { ran = true }
        step(:s, depends_on: :first) { |_a, b:| b }
      end

      expect { pipeline.run }.to raise_error(Flowline::DefinitionError)
      expect(ran).to be(false)
    end
  end

  describe "parameters of conditions" do
    def seen_by(condition, on: %i[a b])
      Flowline.define do |p|
        p.param(:limit, default: 5)
        on.each { |name| p.step(name) { name } }
        p.step(:s, depends_on: on, when: condition) { :ran }
      end.run!
    end

    {
      "nothing" => [->(seen) { -> { seen << :nothing } }, [:nothing]],
      "the context" => [->(seen) { ->(c) { seen << c[:limit] } }, [5]],
      "the context by name" => [->(seen) { ->(ctx:) { seen << ctx[:limit] } }, [5]],
      "the context, then the outputs" => [->(seen) { ->(c, x, y) { seen.push(c[:limit], x, y) } }, [5, :a, :b]],
      "the context, then all outputs as one Hash" => [->(seen) { ->(c, all) { seen.push(c[:limit], all) } }, [5, { a: :a, b: :b }]],
      "outputs first, the context where it is named" => [->(seen) { ->(x, y, ctx) { seen.push(x, y, ctx[:limit]) } }, [:a, :b, 5]],
      "an output by name" => [->(seen) { ->(b:) { seen << b } }, [:b]],
      "the context and an output by name" => [->(seen) { ->(c, b:, limit:) { seen.push(c[:limit], b, limit) } }, [5, :b, 5]],
      "a block that is no lambda" => [->(seen) { proc { |c, x, y| seen.push(c[:limit], x, y) } }, [5, :a, :b]]
    }.each do |what, (condition, expected)|
      it "get #{what}" do
        seen = []

        expect(seen_by(condition.call(seen))[:s].output).to eq(:ran)
        expect(seen).to eq(expected)
      end
    end
  end
end
