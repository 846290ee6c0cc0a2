# frozen_string_literal: true

require "tempfile"

# What comes back from the process of a step: its exception, and what it wrote to files.
RSpec.describe "A step in a process of its own" do
  before do
    stub_const("Plain", Class.new(StandardError))
    stub_const("TwoArguments", Class.new(StandardError) do
      attr_reader :code

      def initialize(code, text)
        @code = code
        super("#{text} #{code}")
      end
    end)
    stub_const("Computed", Class.new(StandardError) { def message = "computed" })
    stub_const("Holding", Class.new(StandardError) do
      def initialize(text)
        @stream = $stdin
        super
      end
    end)
    stub_const("Closed", Class.new(StandardError) { def marshal_dump = raise("cannot be dumped") })
    stub_const("Unreadable", Class.new(StandardError) do
      def marshal_dump = [1]
      def marshal_load(_) = raise("cannot be loaded")
    end)
  end

  raising = {
    Plain: -> { raise Plain, "plain" },
    TwoArguments: -> { raise TwoArguments.new(7, "code") },
    Computed: -> { raise Computed },
    Holding: -> { raise Holding, "holds a stream" },
    Closed: -> { raise Closed, "closed" },
    Unreadable: -> { raise Unreadable, "unreadable" },
    "Errno::ENOENT": -> { File.open("/nowhere/at/all") },
    KeyError: -> { {}.fetch(:a) },
    NoMethodError: -> { nil.nothing },
    FrozenError: -> { "a" << "b" },
    UncaughtThrowError: -> { throw :nobody }
  }

  %i[process isolate].each do |how|
    define_method(:"original_#{how}") do |&body|
      pipeline = Flowline.define { |p| p.step(:a, **(how == :isolate ? { isolate: :process } : {})) { body.call } }
      pipeline.run(executor: how == :isolate ? :sequential : :process)[:a].error.original
    end

    raising.each do |name, body|
      it "fails with the class, message and line of #{name}, as in this process: #{how}" do
        here = begin
          body.call
        rescue StandardError => e
          e
        end
        there = send(:"original_#{how}", &body)
        expect([there.class, there.message]).to eq([here.class, here.message])
        expect(there.class.name).to eq(name.to_s)
        expect(there.backtrace.grep(/#{File.basename(__FILE__)}/).first[/:\d+/]).to eq(here.backtrace.grep(/#{File.basename(__FILE__)}/).first[/:\d+/])
      end
    end

    it "keeps the causes of an exception, each with its class: #{how}" do
      error = send(:"original_#{how}") do
        begin
          raise Closed, "first"
        rescue StandardError
          raise Holding, "second"
        end
      rescue StandardError
        raise TwoArguments.new(3, "third")
      end
      expect([error, error.cause, error.cause.cause].map { |each| [each.class, each.message] })
        .to eq([[TwoArguments, "third 3"], [Holding, "second"], [Closed, "first"]])
      expect(error.code).to eq(3)
      expect(error.cause.backtrace.first).to include(File.basename(__FILE__))
    end

    it "fails with the nearest class that this process has, and names the exact one: #{how}" do
      error = send(:"original_#{how}") { raise Object.const_set(:OnlyThere, Class.new(KeyError)), "far away" }
      expect([error.class, error.message]).to eq([KeyError, "OnlyThere: far away"])
    end

    it "writes once, and in order, to files that were open before: #{how}" do
      Tempfile.create("open") do |file|
        file.write("before ")
        both = File.open("#{file.path}.both", "w+")
        both.write("a")
        pipeline = Flowline.define do |p|
          options = how == :isolate ? { isolate: :process } : {}
          p.step(:one, **options) { file.write("one ") && both.write("b") }
          p.step(:two, depends_on: :one, **options) { |_| file.write("two ") && raise("no") }
        end
        pipeline.run(executor: how == :isolate ? :sequential : :process)
        file.write("after")
        both.write("c")
        [file, both].each(&:flush)
        expect([File.read(file.path), File.read(both.path)]).to eq(["before one two after", "abc"])
      ensure
        both&.close
        File.delete("#{file.path}.both")
      end
    end
  end

  it "has as its cause the exception that would have ended the whole program" do
    error = original_isolate { raise NoMemoryError, "full" }
    expect([error.message, error.cause.class]).to eq(["NoMemoryError: full", NoMemoryError])
  end
end
