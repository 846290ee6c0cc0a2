# frozen_string_literal: true

namespace :docs do
  desc "Make a site of the guides in doc/guides/, or OUTPUT: static pages that can be read offline"
  task :site do
    begin
      require_relative "../docs/site/site"
    rescue LoadError => e
      abort "The site needs the gems kramdown, kramdown-parser-gfm and rouge: run bin/setup (#{e.message})"
    end
    directory = ENV.fetch("OUTPUT", "doc/guides")
    files = Site.new(directory).write
    puts "#{directory}: #{files.size} pages, #{files.sum { |file| File.size(file) } / 1024} KB; open #{directory}/index.html"
  end
end
