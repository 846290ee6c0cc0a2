# frozen_string_literal: true

require "etc"

module Flowline
  module CLI
    module Commands
      # +flowline web [FILE…]+: shows runs on a web page of this machine.
      class Web < FileCommand
        # Its line in the list of commands.
        SUMMARY = "show runs on a web page of this machine; runs of the pipelines in FILEs can be started there"
        # An example of a call.
        EXAMPLE = "flowline web import.rb"
        # The port, if it is free.
        PORT = 7070
        MISSING = "web: there is no web server; gem install puma (or falcon, or webrick with rackup), and add it to the Gemfile if there is one"
        private_constant :PORT, :MISSING

        private

        def argument
          "[FILE…]"
        end

        def declare(parser)
          parser.on("--port NUMBER", /\A\d{1,5}\z/, "default #{PORT}, or another one that is free") { |number| @options[:port] = number_of(number) }
          parser.on("--store DIRECTORY", "--root DIRECTORY", "default FLOWLINE_ROOT, else .flowline") { |path| @options[:root] = path }
          choice(parser, "server", Flowline::Web::Server::NAMES, "NAME", default: nil)
          parser.on("-r", "--require FILE", "load this file or library first; may be repeated") { |name| (@options[:require] ||= []) << name }
          parser.on("--no-rails", "do not load the Rails application around the FILEs, or around the working directory") { @options[:rails] = false }
        end

        def number_of(text)
          number = Integer(text, 10)
          number <= 65_535 ? number : raise(OptionParser::InvalidArgument, text)
        end

        def work(arguments)
          application.load if arguments.empty? # It may have a store of its own.
          Flowline.config.root = File.expand_path(@options[:root]) if @options[:root]
          server = Flowline::Web::Server.find([@options[:server] || Flowline::Web::Server::NAMES].flatten) or raise NotFound, MISSING
          serve(server, application_of(arguments.map { |path| PipelineFile.load(path, application) }))
          0
        end

        # @param files [Array<PipelineFile>]
        # @return [Flowline::Web]
        def application_of(files)
          @homes = files.each_with_object({}) do |file, homes|
            file.pipelines.each { |name, pipeline| pipeline.name ? homes[pipeline.name.to_s] = [file.path, name, pipeline] : warn_of(file, name) }
          end
          user = Etc.getpwuid&.name || Process.uid.to_s
          Flowline::Web.new(authorize: ->(_) { [:act, user] }, hosts: Flowline::Web::Server::HOSTS, root: Flowline.config.root,
                            pipelines: @homes.each_value.map(&:last), enqueue: (method(:start) if files.any?), audit: ->(entry) { note(entry) })
        end

        def warn_of(file, name)
          @err.puts("flowline: #{Name.show(name)} of #{file.path} has no name:, so its runs are not recorded; it is left out")
        end

        # Runs a pipeline in a process of its own, with the code as it is then.
        def start(pipeline, params, resume)
          path, name, = @homes.fetch(pipeline.name.to_s)
          Background.start({ file: File.expand_path(path), pipeline: name, params: params, resume: resume,
                             root: Store.path(Flowline.config.root), requires: @options[:require] || [], rails: @options.fetch(:rails, true) })
        end

        def note(entry)
          facts = entry.except(:time, :address).map { |name, value| "#{name}=#{value}" }
          @err.puts("#{entry[:time].strftime("%H:%M:%S")} #{Text.line(facts.join(" "))}")
        end

        def serve(type, app)
          secret = Flowline::Web::Server::SecretPath.new(app)
          port = port()
          server = type.new(secret, port)
          server.start
          @out.puts("http://#{Flowline::Web::Server::HOST}:#{port}/#{secret.token}/")
          @out.flush
          @err.puts("flowline: #{type.label} shows the runs in #{Store.path(Flowline.config.root)}; Ctrl-C ends it, and not the runs")
          sleep
        rescue SignalException => e
          raise unless [2, 15].include?(e.signo) # INT, TERM

          @err.puts("flowline: the page is closed")
        ensure
          server&.stop
          app.feed.close
        end

        # @return [Integer] the one that is asked for, or {PORT}, or else any that is free
        def port
          Flowline::Web::Server.free(@options[:port] || PORT)
        rescue Errno::EADDRINUSE
          return Flowline::Web::Server.free(0) unless @options[:port]

          raise NotFound, "#{label}: port #{@options[:port]} is taken; choose another one, or leave out --port"
        rescue SystemCallError => e
          raise NotFound, "#{label}: port #{@options[:port]} cannot be used: #{e.message}"
        end

        def expected(flag)
          flag == "--port" ? "the number of a port, from 0 to 65535" : super
        end
      end
    end
  end
end
