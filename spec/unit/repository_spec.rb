# frozen_string_literal: true

require "open3"
require "rbconfig"
require "yaml"

# The pages and settings around the code.
RSpec.describe "the repository" do
  root = File.expand_path("../..", __dir__)
  pages = %w[CONTRIBUTING.md RELEASING.md SECURITY.md examples/README.md .github/pull_request_template.md]
  forms = Dir.glob(".github/{ISSUE,DISCUSSION}_TEMPLATE/*.yml", base: root) - [".github/ISSUE_TEMPLATE/config.yml"]

  define_method(:read) { |path| File.read(File.join(root, path), encoding: "UTF-8") }
  define_method(:yaml) { |path| YAML.safe_load(read(path)) }

  # The names of all tasks, as Rake lists them.
  rake_tasks = nil
  before do
    rake_tasks ||= begin
      list, = Open3.capture2e(RbConfig.ruby, "-S", "rake", "--all", "--tasks", chdir: root)
      list.scan(/^rake (\S+)/).flatten
    end
  end

  pages.each do |page|
    it "links to files that exist, and names tasks and programs that exist: #{page}" do
      links = read(page).scan(/\]\(([^)#:]+)(?:#[^)]*)?\)/).flatten
      expect(links.reject { |link| File.exist?(File.expand_path(link, File.dirname(File.join(root, page)))) }).to eq([])

      tasks = read(page).scan(/`(?:bundle exec )?rake (?:--quiet )?([a-z:]+)/).flatten
      expect(tasks - rake_tasks).to eq([])
      expect(read(page).scan(%r{`((?:bin|spec|lib)/[\w./*]+)`}).flatten.reject { |path| Dir.glob(path, base: root).any? }).to eq([])
    end
  end

  forms.each do |form|
    it "has a form that GitHub accepts: #{form}" do
      given = yaml(form)
      expect(given.keys).to include("body").and include(*(form.include?("ISSUE") ? %w[name description] : []))
      fields = given["body"].reject { |field| field["type"] == "markdown" }
      expect(fields.map { |field| field["type"] } - %w[textarea input dropdown checkboxes]).to eq([])
      expect(fields.map { |field| field["id"] }.uniq.size).to eq(fields.size)
      fields.each do |field|
        expect(field["attributes"]).to include("label" => String)
        expect(field["validations"]).to include("required" => be(true).or(be(false)))
      end
    end
  end

  it "tests and compiles for the Rubies that the gem supports" do
    rubies = read("rakelib/gem.rake")[/^RUBIES = %w\[(.*)\]/, 1].split
    expect(yaml(".github/workflows/test.yml").dig("jobs", "test", "strategy", "matrix", "ruby")).to eq(rubies)
    release = yaml(".github/workflows/release.yml")["jobs"]
    expect(release.dig("extension", "strategy", "matrix", "ruby")).to eq(rubies)
    expect(release.dig("try", "strategy", "matrix", "ruby")).to eq(rubies.values_at(0, -1))
    expect(Gem::Specification.load("#{root}/flowline.gemspec").required_ruby_version).to eq(Gem::Requirement.new(">= #{rubies.first}"))
  end

  it "publishes without a stored key, and only what was tried" do
    jobs = yaml(".github/workflows/release.yml")["jobs"]
    expect(read(".github/workflows/release.yml")).not_to include("secrets.")
    expect(jobs["publish"]).to include("environment" => "release", "permissions" => { "id-token" => "write" }, "needs" => "try")
    expect(jobs.values_at("publish", "announce").map { |job| job["needs"] }).to eq(%w[try publish])
    expect(jobs["try"]["strategy"]["matrix"]["platform"]).to eq(jobs["extension"]["strategy"]["matrix"]["platform"])
  end
end
