# frozen_string_literal: true

# Makes a Rails application whose jobs run a pipeline in Sidekiq: what `rails new` makes, and the folder files/.
#
#   ruby examples/rails/create.rb shop
#   cd shop
#   redis-server &                           # or set REDIS_URL
#   bundle exec sidekiq &
#   bin/rails server                         # http://localhost:3000, the password is "flowline"
#
# It needs the gems rails, sqlite3, puma and sidekiq. FLOWLINE is the line of Flowline in the Gemfile; by default it is this clone.

require "fileutils"

folder = ARGV.first or abort "usage: ruby #{$PROGRAM_NAME} FOLDER"
abort "#{folder} exists" if File.exist?(folder)

rails = Gem::Specification.find_by_name("railties")
skipped = rails.version < Gem::Version.new("7") ? %w[sprockets listen] : %w[asset-pipeline]
options = %w[--minimal --database=sqlite3 --quiet] + %w[bundle git test].concat(skipped).map { |part| "--skip-#{part}" }
system(Gem.ruby, rails.bin_file("rails"), "new", folder, *options, exception: true)

FileUtils.cp_r(File.join(__dir__, "files/."), folder)
File.write(File.join(folder, "Gemfile"), <<~RUBY)
  source "https://rubygems.org"

  %w[rails sqlite3 puma sidekiq].each { |name| gem name }
  #{ENV.fetch("FLOWLINE", "gem \"flowline\", path: #{File.expand_path("../..", __dir__).dump}")}
RUBY

# `--minimal` leaves out Active Job.
application = File.join(folder, "config/application.rb")
File.write(application, File.read(application).sub('# require "active_job/railtie"', 'require "active_job/railtie"'))

Dir.chdir(folder) do
  system("bundle", "lock", "--local", out: File::NULL, err: File::NULL) || system("bundle", "install", exception: true)
  system("bin/rails", "generate", "flowline:install", "--no-web", "--quiet", exception: true) # files/config/routes.rb mounts it.
  system("bin/rails", "db:prepare", exception: true)
end
