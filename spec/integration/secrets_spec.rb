# frozen_string_literal: true

RSpec.describe "Secrets" do
  def message(secret, type: :any)
    Flowline.define do
      param :key, secret: true, type: type
      step(:a) { |ctx| raise "é(#{Array(ctx[:key]).flatten.join(" ")}) 4242" }
    end.run(key: secret).error.message
  end

  it "are masked in any encoding, and the run goes on" do
    expect(message("\xFF\xFE\xFF".b)).to include("step a failed")
    expect(message("geheim".encode("UTF-16LE"))).not_to include("geheim")
    expect(message("passwörd".encode("ISO-8859-1"))).not_to include("passw")
  end

  it "are masked in all their parts, and if they are short, where they stand alone" do
    expect(message({ user: "ann", password: ["hunter2"] }, type: :hash)).not_to match(/ann|hunter2/)
    expect(message("42")).to include("é([secret]) 4242")
  end
end
