# frozen_string_literal: true

require "fileutils"
require "net/http"
require "open3"
require "rbconfig"
require "tempfile"
require "tmpdir"
require_relative "compiled"
require_relative "processes"

# A Rails application in a temporary folder: what `rails new` makes, with an SQLite database, and this Flowline in its Gemfile.
# It is generated once, also for all parts of `rake coverage`; an example gets a copy, and runs commands and servers in it. Needs the Debian packages rails,
# ruby-sqlite3 and puma: examples with the tag `rails` are skipped without them.
#
#   it "counts", :rails do
#     app = rails_app("app/pipelines/count.rb" => "Count = Flowline.define(name: \"count\") { … }")
#     output, status = app.runner("puts Count.run.status", env: { "RAILS_ENV" => "production" })
#     app.server { |http| http.get("/counts").body }
#   end
class RailsApp
  LIMIT = 60
  FLOWLINE = File.expand_path("../..", __dir__)
  # Of `rails new`: no server, node or network is needed to boot.
  LEFT_OUT = %w[action-cable action-mailbox action-mailer action-text active-storage bootsnap bundle git javascript keeps system-test].freeze
  LEFT_OUT_BEFORE_7 = %w[listen spring sprockets turbolinks webpack-install].freeze
  LEFT_OUT_SINCE_7 = %w[asset-pipeline hotwire jbuilder].freeze
  LEFT_OUT_SINCE_7_2 = %w[brakeman ci docker rubocop].freeze
  LEFT_OUT_SINCE_8 = %w[kamal solid thruster].freeze
  # Bundler requires these at boot; those that are installed, and not here, when {#gem} says so.
  GEMS = %w[rails sqlite3 puma].freeze
  OPTIONAL = %w[delayed_job_active_record minitest rack rspec-rails sidekiq redis webrick].freeze

  # The output of a command, standard error included, and how it ended.
  Outcome = Struct.new(:output, :status) do
    def success?
      status.success?
    end

    # @return [String] the output of a command that must have succeeded
    def output!
      success? ? output : raise("the command failed (#{status}):\n#{output}")
    end
  end

  class << self
    # @return [String, nil] the gem that is missing
    def missing
      GEMS.find { |name| Gem::Specification.find_all_by_name(name).empty? }
    end

    # @return [Gem::Version] that of Rails
    def version
      Gem::Specification.find_by_name("railties").version
    end

    # @return [String] the folder of the application that is copied
    def template
      @template ||= ENV["COVERAGE_PART"] ? shared : File.join(Dir.mktmpdir("flowline-rails"), "shop").tap { |folder| generate(folder) }
    end

    # @return [void]
    def clean
      FileUtils.rm_rf(File.dirname(@template)) if @template && !ENV["COVERAGE_PART"]
    end

    private

    # The part that needs it first generates it for all.
    def shared
      folder = File.join(FLOWLINE, "tmp/specs/rails/shop")
      FileUtils.mkdir_p(File.dirname(folder))
      File.open("#{folder}.lock", "w") do |lock|
        lock.flock(File::LOCK_EX)
        next if File.exist?(folder)

        Dir.mktmpdir("flowline-rails") do |directory|
          generate(File.join(directory, "shop"))
          FileUtils.cp_r(File.join(directory, "shop"), "#{folder}.new")
          File.rename("#{folder}.new", folder)
        end
      end
      folder
    end

    def generate(folder)
      left_out = LEFT_OUT + (version < Gem::Version.new("7") ? LEFT_OUT_BEFORE_7 : LEFT_OUT_SINCE_7)
      left_out += LEFT_OUT_SINCE_7_2 if version >= Gem::Version.new("7.2")
      left_out += LEFT_OUT_SINCE_8 if version >= Gem::Version.new("8")
      program = Gem::Specification.find_by_name("railties").bin_file("rails")
      run(RbConfig.ruby, program, "new", folder, "--database=sqlite3", "--quiet", *left_out.map { |name| "--skip-#{name}" })
      File.write(File.join(folder, "Gemfile"), gemfile)
      production = File.join(folder, "config/environments/production.rb")
      File.write(production, File.read(production).sub("config.force_ssl = true", "config.force_ssl = false"))
      File.write(File.join(folder, "db/schema.rb"), "ActiveRecord::Schema.define(version: 1) { }\n")
      run("bundle", "lock", "--local", chdir: folder)
    end

    def run(*command, chdir: Dir.tmpdir)
      output, status = Open3.capture2e(RailsApp.environment, *command, chdir: chdir)
      raise "#{command.join(" ")} failed:\n#{output}" unless status.success?
    end

    def gemfile
      optional = OPTIONAL.reject { |name| Gem::Specification.find_all_by_name(name).empty? }
      <<~RUBY
        source "https://rubygems.org"
        #{GEMS.map { |name| "gem #{name.dump}" }.join("\n")}
        #{optional.map { |name| "gem #{name.dump}, require: false" }.join("\n")}
        gem "flowline", path: #{FLOWLINE.dump}
      RUBY
    end
  end

  # The environment of a process outside of the bundle and the stores of these specs.
  def self.environment
    inner = ENV.keys.grep(/\A(BUNDLE|BUNDLER|GEM|RAILS|RACK)_|\ARUBY(OPT|LIB)\z/)
    { **inner.to_h { |name| [name, nil] }, "FLOWLINE_ROOT" => nil, "NO_COLOR" => "1", "SECRET_KEY_BASE" => "0" * 64, **Compiled.environment }
  end

  # @return [String] the folder
  attr_reader :folder

  # @param folder [String] it is created
  # @param gem_file [String, nil] the line of Flowline in the Gemfile; nil: this checkout
  def initialize(folder)
    FileUtils.cp_r(self.class.template, folder)
    @folder = File.realpath(folder)
    @servers = []
  end

  # Writes files.
  # @param files [Hash{String => String}] texts by path in the application
  # @return [self]
  def write(files)
    files.each do |path, text|
      FileUtils.mkdir_p(File.dirname(path(path)))
      File.write(path(path), text)
    end
    self
  end

  # @return [String] the text of a file
  def read(path)
    File.read(path(path), encoding: "UTF-8")
  end

  # @return [String] the full path of a file
  def path(path)
    File.expand_path(path, @folder)
  end

  # Adds lines to the class of the application in config/application.rb.
  # @return [self]
  def configure(text)
    head = "class Application < Rails::Application\n"
    write("config/application.rb" => read("config/application.rb").sub(head) { "#{head}#{text}\n" })
  end

  # Lets Bundler require these gems at boot, such as "sidekiq".
  # @return [self]
  def gem(*names)
    write("Gemfile" => names.reduce(read("Gemfile")) { |text, name| text.sub("gem #{name.dump}, require: false", "gem #{name.dump}") })
  end

  # Runs a command in the application, such as +run("bin/rails", "routes")+.
  # @param env [Hash{String => String}] such as RAILS_ENV
  # @return [Outcome]
  def run(*command, env: {}, limit: LIMIT)
    reader, writer = IO.pipe
    pid = start(command, env, writer)
    writer.close
    output = Thread.new { reader.read }
    late = output.join(limit).nil? && Process.kill(:KILL, -pid)
    status = Process.wait2(pid).last
    raise "#{command.join(" ")} has not ended within #{limit} seconds:\n#{output.value}" if late

    Outcome.new(output.value.force_encoding("UTF-8"), status)
  ensure
    reader&.close
  end

  # Runs Ruby code in the application.
  # @return [Outcome]
  def runner(code, **options)
    run("bin/rails", "runner", code, **options)
  end

  # Starts a program of the application that goes on until it is stopped, such as a worker of jobs. It is killed after the example.
  # @return [Server]
  def spawn(*command, env: {})
    log = Tempfile.new("flowline-rails")
    Server.new(start(command, env, log), log).tap { |server| @servers << server }
  end

  # Starts a server on a free port, and stops it after the block, or without a block after the example.
  # @param command [Array<String>] for `bin/rails`, or another program that is passed the port by -p
  # @return [Object] what the block returns, or the server
  # @yieldparam server [Server]
  def server(*command, env: {}, limit: LIMIT)
    command = %w[bin/rails server -b 127.0.0.1] if command.empty?
    port = Addrinfo.tcp("127.0.0.1", 0).bind { |socket| socket.local_address.ip_port }
    server = spawn(*command, "-p", port.to_s, env: env)
    server.listen(port, limit)
    return server unless block_given?

    begin
      yield server
    ensure
      server.stop
    end
  end

  # Ends what still runs, and removes the folder.
  # @return [void]
  def clean
    @servers.each(&:kill)
    FileUtils.rm_rf(@folder)
  end

  private

  def start(command, env, output)
    program = File.file?(path(command.first)) ? [RbConfig.ruby, *command] : command
    environment = { **self.class.environment, "BUNDLE_GEMFILE" => path("Gemfile"), **env.transform_keys(&:to_s) }
    Process.spawn(environment, *program, in: File::NULL, %i[out err] => output, chdir: @folder, pgroup: true)
  end

  # A program that goes on until it is stopped.
  class Server
    # @return [Integer]
    attr_reader :pid, :port

    def initialize(pid, log)
      @pid = pid
      @log = log
    end

    # Waits until it accepts connections.
    def listen(port, limit)
      @port = port
      wait_for("does not listen", limit) do
        raise "the server has ended:\n#{output}" if ended?

        get("/").is_a?(Net::HTTPResponse)
      rescue SystemCallError, EOFError
        false
      end
    end

    # @return [Net::HTTPResponse]
    def get(path, headers = {})
      request(Net::HTTP::Get.new(path, headers))
    end

    # @param form [Hash{String => String}]
    # @return [Net::HTTPResponse]
    def post(path, form = {}, headers = {})
      request(Net::HTTP::Post.new(path, headers).tap { |post| post.set_form_data(form) })
    end

    # @return [Net::HTTPResponse]
    def request(request)
      response = Net::HTTP.start("127.0.0.1", @port, open_timeout: LIMIT, read_timeout: LIMIT) { |http| http.request(request) }
      response.tap { response.body&.force_encoding("UTF-8") }
    end

    # @return [String] what it has printed
    def output
      File.read(@log.path, encoding: "UTF-8")
    end

    # Waits until it has printed something.
    # @param pattern [String, Regexp]
    # @return [String] what it has printed
    def await(pattern, limit = LIMIT)
      wait_for("does not print #{pattern.inspect}", limit) do
        over = ended?
        output[pattern] || (over && raise("the program has ended:\n#{output}"))
      end
      output
    end

    # Ends it in good order, or kills it.
    # @param signal [Symbol]
    # @return [Process::Status]
    def stop(signal = :TERM, limit = LIMIT)
      Process.kill(signal, @pid) unless ended?
      wait_for("does not stop", limit) { ended? }
      @status
    rescue RuntimeError
      kill
      raise
    end

    # Kills it, with what it has started.
    # @return [Process::Status]
    def kill
      Process.kill(:KILL, -@pid)
    rescue Errno::ESRCH
      nil # It has ended, and so has what it started.
    ensure
      status
    end

    # Waits for its end.
    # @return [Process::Status]
    def status
      @status ||= Process.wait2(@pid).last
    end

    # @return [Boolean]
    def ended?
      @status ||= Process.wait2(@pid, Process::WNOHANG)&.last
      !@status.nil?
    end

    private

    def wait_for(what, limit)
      give_up = Process.clock_gettime(Process::CLOCK_MONOTONIC) + limit
      until yield
        raise "the program #{what} within #{limit} seconds:\n#{output}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > give_up

        sleep(0.02)
      end
    end
  end

  # For examples.
  module Helpers
    # Makes an application for the example. The first one is returned again without files.
    # @param files [Hash{String => String}] texts by path
    # @return [RailsApp]
    def rails_app(files = {})
      @rails_app ||= RailsApp.new(File.join(Dir.mktmpdir("flowline-rails-app"), "shop"))
      @rails_app.write(files)
    end

    # Removes the application of the example.
    def clean_rails_app
      return unless @rails_app

      @rails_app.clean
      FileUtils.rm_rf(File.dirname(@rails_app.folder))
    end
  end
end

RSpec.configure do |config|
  config.include RailsApp::Helpers, :rails
  config.before(:each, :rails) do
    missing = RailsApp.missing
    raise "the gem #{missing} is missing" if missing && ENV["CI"]

    skip "needs the gem #{missing}" if missing
  end
  config.after(:each, :rails) { clean_rails_app }
  config.after(:suite) { RailsApp.clean }
end
