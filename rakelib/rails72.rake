# frozen_string_literal: true

# The libraries of Debian 13: Ruby 3.3, Rails 7.2, Sidekiq 7.3, Puma 6, Rack 3. They are installed in a folder of their own, in which the
# extension is compiled, and the specs are run, by programs of that folder (chroot).
module Rails72
  extend Rake::DSL

  FOLDER = File.expand_path("../tmp/rails72", __dir__)
  SUITE = "trixie"
  PACKAGES = %w[ruby ruby-dev ruby-rails ruby-sqlite3 puma ruby-sidekiq redis-server ruby-rspec ruby-rspec-rails ruby-webrick ruby-bundler rake
                rake-compiler gcc libc6-dev make cargo libclang-dev ca-certificates procps netbase].freeze
  # The specs of what works with these libraries.
  SPECS = %w[spec/integration/{rails*,active_record*,job*,sidekiq*,web_server*,notifications,middleware}_spec.rb].freeze

  # A command in the folder, with a /proc that only it sees.
  WITHIN = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"'

  module_function

  # @return [String, nil] why it cannot be done
  def obstacle
    return "it needs root, for chroot and debootstrap" unless Process.uid.zero?

    "it needs debootstrap: apt-get install debootstrap" unless system("debootstrap", "--version", %i[out err] => File::NULL)
  end

  # Installs the libraries, once.
  def install
    ready = File.join(FOLDER, ".ready")
    return if File.exist?(ready)

    rm_rf(FOLDER)
    mkdir_p(FOLDER)
    failure = "test:rails72: the libraries could not be installed; it needs a network, and MIRROR= may name another mirror of Debian"
    sh("debootstrap", "--variant=minbase", "--include=ca-certificates", SUITE, FOLDER, *ENV["MIRROR"]) do |good, _|
      abort failure unless good
    end
    chroot("apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends #{PACKAGES.join(" ")}") do |good, _|
      abort failure unless good
    end
    touch(ready)
  end

  # Copies the files of the repository, and what cargo has downloaded.
  def copy
    home = File.join(FOLDER, "flowline")
    mkdir_p(home)
    sh("git ls-files -z | xargs -0 cp --parents -p -t #{home}")
    registry = File.join(ENV.fetch("CARGO_HOME") { File.expand_path("~/.cargo") }, "registry")
    sh("mkdir -p #{FOLDER}/root/.cargo && cp -rn #{registry} #{FOLDER}/root/.cargo/") if File.directory?(registry)
  end

  # Runs a command by the programs of the folder.
  def chroot(command, &block)
    names = ENV.keys.grep(/\A(BUNDLE|BUNDLER|CARGO|GEM)_|\ARUBY(OPT|LIB)\z/)
    environment = { **names.to_h { |name| [name, nil] }, "HOME" => "/root", "PATH" => "/usr/bin:/usr/sbin:/bin:/sbin", "LANG" => "C.UTF-8" }
    sh(environment, "unshare", "--mount", "/bin/sh", "-c", WITHIN, FOLDER, command, verbose: false, &block)
  end
end

desc "Run the specs of Rails and of jobs with Ruby 3.3, Rails 7.2 and Sidekiq 7.3 of Debian 13, in a folder; needs root and a network; SPECS"
task "test:rails72" do
  obstacle = Rails72.obstacle
  abort "test:rails72: #{obstacle}" if obstacle

  Rails72.install
  Rails72.copy
  Rails72.chroot("cd /flowline && rake compile")
  files = ENV.fetch("SPECS") { Dir.glob(Rails72::SPECS).join(" ") }
  versions = "ruby -e 'gem %q(rails); gem %q(sidekiq); puts RUBY_DESCRIPTION, Gem.loaded_specs.values_at(%q(rails), %q(sidekiq)).map(&:full_name)'"
  Rails72.chroot("#{versions} && cd /flowline && rspec #{files}")
end
