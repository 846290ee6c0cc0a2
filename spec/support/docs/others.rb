# frozen_string_literal: true

require "open3"
require "yaml"

module Docs
  # Checks of blocks that are neither Ruby nor a session in a terminal, by language.
  # Each takes the block, all blocks of its page and the directory, and returns what is wrong.
  OTHERS = {
    "sh" => ->(block, _, _) { Others.syntax("sh", "-n", block.text) },
    "rb" => ->(block, _, _) { Others.syntax(RbConfig.ruby, "-c", block.text) },          # Ruby that needs a gem that is not here.
    "python" => ->(block, _, _) { Others.syntax("python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())", block.text) },
    "sql" => ->(block, _, _) { block.named ? [] : ["a quotation needs the name of its file"] },
    "yaml" => ->(block, _, _) { Others.rescued { YAML.safe_load(block.text) } },
    "crontab" => ->(block, _, directory) { Others.crontab(block, directory) },
    "systemd" => ->(block, all, directory) { Others.unit(block, all, directory) },
    "dockerfile" => ->(block, _, directory) { Others.dockerfile(block, directory) }
  }.freeze

  # See {Docs::OTHERS}.
  module Others
    TIMES = %r{\A(?:@(?:daily|hourly|weekly|reboot)|(?:[\d*,/-]+\s+){5})\s*}
    INSTRUCTIONS = %w[FROM RUN COPY ENV WORKDIR USER VOLUME ENTRYPOINT CMD ARG].freeze

    module_function

    def syntax(*command, text)
      said, status = Open3.capture2e(*command, stdin_data: text)
      status.success? ? [] : [said]
    rescue Errno::ENOENT # The program is not there.
      []
    end

    def rescued
      yield
      []
    rescue StandardError => e
      ["#{e.class}: #{e.message}"]
    end

    # Runs each line once, as cron does: in the home directory, with few variables, a % for a new line unless it has a
    # backslash. Each has to succeed.
    def crontab(block, directory)
      settings, lines = block.text.lines(chomp: true).reject { |line| line.empty? || line.start_with?("#") }.partition { |line| line.match?(/\A\w+=/) }
      variables = settings.to_h { |line| line.split("=", 2) }
      lines.flat_map do |line|
        command = line.sub(TIMES, "")
        next ["no time: #{line}"] if command == line
        next ["% without a backslash is a new line: #{line}"] if command.match?(/(?<!\\)%/)

        said, status = cron(command.gsub("\\%", "%"), variables, directory)
        status.success? ? [] : ["#{command}\nexited with #{status.exitstatus}:\n#{said}"]
      end
    end

    def cron(command, variables, directory)
      clean = ENV.keys.to_h { |name| [name, nil] }
      variables = variables.transform_values { |value| Docs.within(value, directory) }
      path = "#{directory}/.bin:#{variables.fetch("PATH", "/usr/bin:/bin")}"
      Docs.shell(command, directory, { **clean, **variables, "PATH" => path, "LANG" => "C.UTF-8" })
    end

    # Lets systemd check a unit together with the others of the page, and runs what it starts.
    def unit(block, all, directory)
      return ["the first line has to name the file"] unless block.named

      folder = File.join(directory, "etc/systemd/system")
      all.select { |other| other.language == "systemd" }.each { |other| Docs.write(directory, other.named, runnable(other.text, directory)) }
      verified(folder, File.basename(block.named)) + started(block, directory)
    end

    # The unit with the programs that the specs have.
    def runnable(text, directory)
      text.gsub(%r{^(ExecStart)=/(?!bin/sh)\S+/(?=\w+)}, "\\1=#{directory}/.bin/").gsub(/^User=.*/, "User=root")
    end

    def verified(folder, name)
      instance = File.join(folder, name.sub("@.", "@import."))
      said, = Open3.capture2e({ "SYSTEMD_UNIT_PATH" => "#{folder}:" }, "systemd-analyze", "verify", "--man=no", instance)
      said.lines(chomp: true).grep(/#{Regexp.escape(folder)}|\b#{Regexp.escape(File.basename(instance))}\b/) # Others are of the machine.
    rescue Errno::ENOENT # No systemd here.
      []
    end

    def started(block, directory)
      environment = block.text.scan(/^Environment=(\w+)=(.+)$/).to_h.transform_values { |value| Docs.within(value, directory) }
      folder = Docs.within(block.text[/^WorkingDirectory=(.+)$/, 1] || directory, directory)
      block.text.scan(%r{^ExecStart=/\S+/(\w.*)$}).flatten.flat_map do |command|
        said, status = Docs.shell(command.gsub("%i", "import").gsub("%H", "host"), directory, environment, folder: folder)
        status.success? ? [] : ["#{command}\nexited with #{status.exitstatus}:\n#{said}"]
      end
    end

    # There is no Docker here: instructions are known, and the files exist that are copied.
    def dockerfile(block, directory)
      instructions = block.text.gsub("\\\n", " ").lines.map(&:strip).reject { |line| line.empty? || line.start_with?("#") }
      instructions.flat_map do |line|
        name, *words = line.split
        next ["unknown instruction: #{line}"] unless INSTRUCTIONS.include?(name)

        missing = name == "COPY" ? words[0...-1].reject { |file| file == "." || Dir.glob(file, base: File.join(directory, "srv/shop")).any? } : []
        missing.map { |file| "#{file} does not exist" }
      end
    end
  end

  module_function

  # Programs that the pages use, in a folder of the directory: `flowline` is that of this clone; programs that would change
  # the machine or send something write what they were called with to a file.
  def shims(directory)
    flowline = [*(@application ? RUBY - ["-w"] : RUBY), "#{ROOT}/exe/flowline"].join(" ") # Rails has warnings of its own.
    ruby = "RUBYOPT='-r#{directory}/sync.rb -I#{ROOT}/lib' NO_COLOR=1"
    { "flowline" => %(#{ruby} exec #{flowline} "$@"), "rake" => %(#{ruby} exec #{RbConfig.ruby} #{Gem.bin_path("rake", "rake")} "$@"),
      "rspec" => %(RUBYOPT='-r#{directory}/sync.rb -I#{ROOT}/lib -rbundler/setup' exec #{RbConfig.ruby} #{Gem.bin_path("rspec-core", "rspec")} -O #{File::NULL} "$@"),
      "ruby" => %(#{ruby} exec #{RbConfig.ruby} "$@"), "bundle" => %(shift; exec "$@"),
      **%w[curl mail journalctl systemctl].to_h { |name| [name, %(echo "#{name} $*" >> #{directory}/sent.txt)] } }
      .each { |name, text| write(directory, ".bin/#{name}", "#!/bin/sh\n#{text}\n", 0o755) }
  end
end
