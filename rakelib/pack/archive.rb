# frozen_string_literal: true

require "digest"
require "rubygems/package"
require "stringio"
require "tempfile"
require "yaml"
require "zlib"

module Pack
  # A gem's file, written again to be smaller. It is a tar of gzipped parts, one of them a tar of the gem's files.
  #
  # - Zopfli is a slower and better maker of ordinary gzip: a twentieth less.
  # - Files stand next to what they are like, where gzip sees the likeness.
  module Archive
    SUMS = "checksums.yaml.gz"
    private_constant :SUMS

    class << self
      def squeeze(path)
        parts = entries(File.binread(path)).reject { |name,| name == SUMS }
        parts.map! do |name, mode, bytes|
          content = Zlib.gunzip(bytes)
          content = tar(by_likeness(entries(content))) if name == "data.tar.gz"
          [name, mode, zopfli(content)]
        end
        File.binwrite(path, tar(parts << [SUMS, 0o444, Zlib.gzip(checksums(parts), level: 9)]))
      end

      private

      # What RubyGems checks when it installs.
      def checksums(parts)
        { "SHA256" => Digest::SHA256, "SHA512" => Digest::SHA512 }
          .transform_values { |digest| parts.to_h { |name, _, bytes| [name, digest.hexdigest(bytes)] } }.to_yaml
      end

      # Of each: name, mode, content.
      def entries(tar)
        Gem::Package::TarReader.new(StringIO.new(tar)).map { |entry| [entry.full_name, entry.header.mode, entry.read.to_s] }
      end

      def tar(entries)
        bytes = StringIO.new("".b)
        Gem::Package::TarWriter.new(bytes) do |tar|
          entries.each { |name, mode, content| tar.add_file_simple(name, mode, content.bytesize) { |io| io.write(content) } }
        end
        bytes.string
      end

      # After each the one that costs least there, compared with what it costs by itself.
      def by_likeness(entries)
        size = ->(text) { Zlib.deflate(text, Zlib::BEST_COMPRESSION).bytesize }
        alone = entries.to_h { |name, _, content| [name, size[content]] }
        rest = entries.sort
        ordered = [rest.shift]
        until rest.empty?
          before = ordered.last.last
          ordered << rest.delete(rest.min_by { |name, _, content| size[before + content] - alone[name] })
        end
        ordered
      end

      def zopfli(content)
        Tempfile.create("part", binmode: true) do |file|
          file.write(content)
          file.close
          IO.popen(["zopfli", "-c", file.path], "rb", &:read)
        end
      end
    end
  end
end
