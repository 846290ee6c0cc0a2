# frozen_string_literal: true

RSpec.describe Flowline::Arguments::Signature do
  # A block reports all its positional parameters as optional. A lambda of the same source does not.
  %w[a a,b a,b=1 a=1 a=1,b a=1,b,c a,b=1,c a,b=1,c=2,d *r a,*r *r,z a=1,*r a=1,*r,z a,b=1,*r,y,z k: k:1 a,k: a,k:1 a=1,k:
     a=1,b,k: a,*r,k: **r a,**r a=1,**r *r,**k &b a,&b].push("").each do |params|
    it "finds the required parameters of |#{params}|" do
      block, lambda = eval("[proc { |#{params}| }, ->(#{params}) {}]", nil, "(a signature)") # rubocop:disable Style/EvalWithLocation, Security/Eval

      expect(described_class.of(block).parameters).to eq(lambda.parameters)
    end
  end

  it "finds the required parameters of blocks that destructure their arguments" do
    kinds = ->(block) { described_class.of(block).parameters.map(&:first) }

    expect(kinds.call(proc { |(_a, _b)| })).to eq(%i[req])
    expect(kinds.call(proc { |(_a, _b), _c = 1| })).to eq(%i[req opt])
    expect(kinds.call(proc { |_c = 1, (_a, _b)| })).to eq(%i[opt req])
  end

  it "is the signature of the method that is called" do
    called = Class.new do
      def self.call(one) = one
      def call(two) = two
    end
    instances = Class.new { def call(three) = three }

    {
      called => [%i[req one]], called.new => [%i[req two]], instances => [%i[req three]], instances.new.method(:call) => [%i[req three]],
      Flowline::Step.new(:a) { |four| four } => [%i[req four]],
      Flowline::Step.new(:a, Flowline::Step.new(:b) { |five| five }) => [%i[req five]]
    }.each { |callable, parameters| expect(described_class.of(callable).parameters).to eq(parameters) }
  end
end
