# frozen_string_literal: true

require "securerandom"
require "uri"

module Flowline
  class Web
    # Everything that a page is made from: the request, who asks, the records of runs, the pipelines of the application, and addresses.
    # @api private
    class View
      # @return [Request]
      attr_reader :request
      # @return [Records] the runs of the store
      attr_reader :history
      # @return [Hash{String => Pipeline}] the pipelines of the application, by name
      attr_reader :pipelines

      # @param web [Web]
      # @param request [Request]
      # @param visitor [Entrance::Visitor]
      # @param journal [Journal]
      def initialize(web, request, visitor, journal)
        @web = web
        @request = request
        @visitor = visitor
        @journal = journal
        @history = Records.new(web.root)
        @pipelines = web.pipelines
      end

      # @return [Boolean] whether the visitor may cancel, start and resume runs
      def act?
        @visitor.level == :act
      end

      # @return [Boolean] whether the visitor may start and resume runs, and the application has said how
      def enqueue?
        act? && !@web.enqueue.nil?
      end

      # @return [String] who asks, for the audit, in UTF-8: servers pass names as bytes
      def who
        name = @visitor.name || request.env["REMOTE_USER"] || request.env["REMOTE_ADDR"] || "unknown"
        bytes = name.encoding == Encoding::BINARY
        (bytes ? name.dup.force_encoding(Encoding::UTF_8) : name.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)).scrub
      end

      # Starts a run, or resumes one, as the application has said.
      # @param pipeline [Pipeline]
      # @param params [Hash{Symbol => Object}]
      # @param resume [String, nil] the id of the run to resume
      # @return [Object] what the application's block returns
      def enqueue(pipeline, params, resume = nil)
        Recording::Trigger.with("web") { @web.enqueue.call(pipeline, params, resume) }
      end

      # Writes what was done into the audit.
      # @param action [Symbol] such as +:cancel+
      # @param facts [Hash{Symbol => Object}] without secrets
      # @return [void]
      def audit(action, **facts)
        @journal.write(request.env, { action: action, who: who, address: request.env["REMOTE_ADDR"], **facts })
      end

      # @param segments [Array<String, Symbol>] parts of the path; each can be any text
      # @param query [Hash{Symbol => Object}] fields; nil and "" are left out
      # @return [String] the address of a page
      def url(*segments, **query)
        fields = query.reject { |_, value| value.nil? || value == "" }
        path = "#{request.mount}/#{segments.map { |segment| Names.segment(segment) }.join("/")}"
        fields.empty? ? path : "#{path}?#{URI.encode_www_form(fields)}"
      end

      # @param name [String] of a file, without digest
      # @return [String] its address
      def asset(name)
        "#{request.mount}/assets/#{Assets.fetch(name).file}"
      end

      # @return [String] what scripts of this page need to be run
      def nonce
        @nonce ||= SecureRandom.urlsafe_base64(18)
      end

      # @return [Feed]
      def feed
        @web.feed
      end

      # @param run_id [String]
      # @return [Topic] for a run that goes on
      def topic(run_id)
        feed.topic(run_id, url("runs", run_id), history)
      end

      # @param run_id [String]
      # @return [Flowline::History::Run]
      # @raise [Refusal] there is none
      def run(run_id)
        history.run(run_id) || raise(Refusal.new(404, "There is no run #{run_id} any more."))
      end
    end
  end
end
