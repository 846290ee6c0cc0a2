# frozen_string_literal: true

require "digest"
require "zlib"

module Flowline
  class Web
    # The stylesheet and the scripts. Their names have a digest of their content, so that browsers never ask for them again.
    # @api private
    module Assets
      # A file: the +type+ and +body+ that are sent, the body +zipped+, its +etag+, and its +file+ name with digest.
      Asset = Struct.new(:file, :type, :body, :zipped, :etag, keyword_init: true)
      # The parts of each: a report is a run page without a server, so its styles and its script are those of the report.
      PARTS = { "flowline.css" => %w[report/picture.css report/page.css web/web.css], "report.js" => %w[report/report.js],
                "flowline.js" => %w[web/web.js] }.freeze
      TYPES = { ".css" => "text/css; charset=utf-8", ".js" => "text/javascript; charset=utf-8" }.freeze
      private_constant :TYPES

      class << self
        # @param name [String] one of {PARTS}
        # @return [Asset]
        def fetch(name)
          all.fetch(name)
        end

        # @param file [String] its name with digest
        # @return [Asset, nil]
        def find(file)
          all.each_value.find { |asset| asset.file == file }
        end

        private

        # A script names those that it loads without their digests, and stands after them.
        def all
          @all ||= PARTS.each_with_object({}) do |(name, parts), assets|
            body = parts.map { |part| read(part) }.join
            body = assets.each_value.inject(body) { |text, asset| text.gsub("./#{plain(asset.file)}", "./#{asset.file}") }
            assets[name] = asset(name, body)
          end.freeze
        end

        def read(part)
          File.read("#{__dir__}/../#{part}", encoding: "UTF-8")
        end

        def plain(file)
          file.sub(/-\h+(?=\.\w+\z)/, "")
        end

        def asset(name, body)
          digest = Digest::SHA256.hexdigest(body)[0, 16]
          type = File.extname(name)
          Asset.new(file: name.sub(type, "-#{digest}#{type}"), type: TYPES.fetch(type), body: body.freeze,
                    zipped: Zlib.gzip(body, level: 9).freeze, etag: "\"#{digest}\"").freeze
        end
      end
    end
  end
end
