# frozen_string_literal: true

module Flowline
  # A web page for runs: what goes on, what failed, and why. It is a Rack application, for Rails, Sinatra or a +config.ru+.
  # Nothing is shown until +authorize:+ is given.
  #
  #   mount Flowline::Web.new(authorize: ->(env) { :act if env["warden"].user&.admin? }) => "/flowline"
  class Web
    autoload :Assets, "#{__dir__}/web/assets"
    autoload :Entrance, "#{__dir__}/web/entrance"
    autoload :Feed, "#{__dir__}/web/feed"
    autoload :Fields, "#{__dir__}/web/fields"
    autoload :Journal, "#{__dir__}/web/journal"
    autoload :Layout, "#{__dir__}/web/layout"
    autoload :Lines, "#{__dir__}/web/lines"
    autoload :Names, "#{__dir__}/web/names"
    autoload :Outline, "#{__dir__}/web/outline"
    autoload :Page, "#{__dir__}/web/page"
    autoload :Pages, "#{__dir__}/web/pages"
    autoload :Proposal, "#{__dir__}/web/proposal"
    autoload :Records, "#{__dir__}/web/records"
    autoload :Refusal, "#{__dir__}/web/refusal"
    autoload :Request, "#{__dir__}/web/request"
    autoload :Response, "#{__dir__}/web/response"
    autoload :Router, "#{__dir__}/web/router"
    autoload :Snapshot, "#{__dir__}/web/snapshot"
    autoload :Server, "#{__dir__}/web/server"
    autoload :Stream, "#{__dir__}/web/stream"
    autoload :Topic, "#{__dir__}/web/topic"
    autoload :View, "#{__dir__}/web/view"
    autoload :Viewer, "#{__dir__}/web/viewer"

    # The number of pages that can follow runs at the same time, for each process.
    VIEWERS = 500

    # @return [#call, nil] starts runs
    # @api private
    attr_reader :enqueue
    # @return [Feed] sends changes to the pages that follow runs
    # @api private
    attr_reader :feed

    # @param authorize [#call] gets the Rack environment, and returns +:read+, or +:act+ to allow cancelling, resuming and starting
    #   runs, too; or either with the name of the user, for the audit: +[:act, "alice"]+. nil: the request is refused. Without it, all
    #   requests are
    # @param enqueue [#call, nil] starts a run: gets the pipeline, its params as a Hash, and the id of the run to resume or nil. nil:
    #   runs cannot be started or resumed
    # @param pipelines [Array<Pipeline, Class>, #call] those that can be started; or a lambda that returns them for each request, as
    #   an application needs that reloads its code. Default: those of {Configuration#pipelines}
    # @param root [String, nil] the directory of the store; nil: that of {Flowline.config}
    # @param origins [Array<String>] other origins whose forms are accepted, such as +"https://ops.example.com"+: what browsers show,
    #   where a proxy sends another Host
    # @param hosts [Array<String>, nil] the only names that a request may have for this host, without port; nil: any
    # @param viewers [Integer] how many pages can follow runs at the same time, for each process; others ask every second
    # @param audit [#call, #info, nil] gets what was done by whom: +call+ as a Hash, +info+ as a line. nil: a line in the server's log
    # @raise [ArgumentError]
    def initialize(authorize: nil, enqueue: nil, pipelines: -> { Flowline.config.pipelines }, root: nil, origins: [], hosts: nil,
                   viewers: VIEWERS, audit: nil)
      @entrance = Entrance.new(authorize: authorize, origins: origins, hosts: hosts)
      @enqueue = enqueue
      @pipelines = pipelines.respond_to?(:call) ? pipelines : named(pipelines)
      @root = root
      @feed = Feed.new(viewers)
      @journal = Journal.new(audit)
    end

    # @param env [Hash{String => Object}] of Rack
    # @return [Array(Integer, Hash, #each)]
    def call(env)
      request = Request.new(env)
      answer(request).to_rack(request)
    rescue Refusal => e
      Response.refusal(e).to_rack(request)
    end

    # @return [Hash{String => Pipeline}] those that can be started, by name
    # @api private
    def pipelines
      @pipelines.is_a?(Hash) ? @pipelines : named(@pipelines.call)
    end

    # @return [String] the directory of the store
    # @api private
    def root
      @root || Flowline.config.root
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{root}>"
    end

    private

    def answer(request)
      visitor = @entrance.admit(request)
      view = View.new(self, request, visitor, @journal)
      Router.new(view).call
    end

    def named(pipelines)
      pipelines.to_h do |given|
        pipeline = Pipeline.from(given)
        raise ArgumentError, "pipelines: #{pipeline.inspect} has no name; define it with name:" unless pipeline.name

        [pipeline.name.to_s, pipeline]
      end.freeze
    end
  end
end
