# frozen_string_literal: true

module Flowline
  class Web
    # Finds the page for an address. Ids match their pattern, and nothing of an address becomes a path of a file.
    # @api private
    class Router
      RUN = /\A\d{8}T\d{6}-\h{8}\z/
      FILE = /\A[a-z]+-\h{16}\.(?:css|js)\z/
      private_constant :RUN, :FILE

      # @param view [View]
      def initialize(view)
        @view = view
        @request = view.request
      end

      # @return [Response]
      def call
        route(@request.segments)
      rescue Refusal => e
        failure(e)
      rescue StoreError => e
        failure(Refusal.new(503, "The store cannot be read: #{e.message}"))
      end

      private

      def route(segments)
        case segments
        in [] then page(:Overview)
        in ["runs"] then page(:History)
        in ["runs", RUN => id] then page(:Run, id)
        in ["runs", RUN => id, "cancel"] then page(:Cancel, id)
        in ["runs", RUN => id, "resume"] then page(:Resume, id)
        in ["runs", RUN => id, "events"] then allow && Stream.new(@view, id).events
        in ["runs", RUN => id, "live.json"] then allow && Stream.new(@view, id).json
        in ["runs", RUN => id, "report"] then report(id)
        in ["runs", RUN => id, "steps", step] then page(:Step, id, step_name(id, step))
        in ["pipelines", name] then page(:Pipeline, pipeline_name(name))
        in ["pipelines", name, "grid"] then page(:Grid, pipeline_name(name))
        in ["pipelines", name, "start"] then page(:Start, pipeline_name(name))
        in ["assets", FILE => file] then asset(file)
        else missing
        end
      end

      def page(name, *ids)
        missing unless Pages.const_defined?(name, false)
        page = Pages.const_get(name).new(@view, *ids)
        allow(*("POST" if page.class.form?))
        url = page.submit if @request.verb == "POST"
        url ? Response.redirect(url) : show(page)
      end

      def show(page, headers = {})
        html = Layout.new(@view, page).to_s
        Response.page(html, @view.nonce, headers, status: page.status)
      end

      def failure(refusal)
        show(Pages::Failure.new(@view, refusal), refusal.headers)
      end

      def report(id)
        allow
        html = @view.run(id).report
        Response.download(html, "#{id}.html")
      end

      def asset(file)
        allow
        asset = Assets.find(file) or missing
        @request.header("If-None-Match") == asset.etag ? Response.unchanged(asset.etag) : Response.asset(asset)
      end

      def step_name(id, step)
        Names.resolve(step, position: true) { @view.run(id).steps.map(&:name) } || missing
      end

      def pipeline_name(name)
        Names.resolve(name) { @view.pipelines.keys | @view.history.last_runs.map(&:pipeline) } || missing
      end

      def allow(*verbs)
        verbs = ["GET", *verbs]
        return true if verbs.include?(@request.verb)

        raise Refusal.new(405, "This address answers #{verbs.join(" and ")}, not #{@request.verb}.", "allow" => ["HEAD", *verbs].join(", "))
      end

      def missing
        raise Refusal.new(404, "There is no such page.")
      end
    end
  end
end
