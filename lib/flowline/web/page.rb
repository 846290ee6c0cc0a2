# frozen_string_literal: true

module Flowline
  class Web
    # A page. The pages in {Pages} have a +title+ and a +body+; what they show is escaped by {Report::Markup}.
    # @api private
    class Page
      include Report::Markup

      # @return [View]
      attr_reader :view

      # @param view [View]
      # @param ids [Array<String>] what the address names: the id of a run, the name of a step or of a pipeline
      def initialize(view, *ids)
        @view = view
        @ids = ids
      end

      # @return [String] text
      def title
        raise NotImplementedError
      end

      # @return [String] the HTML within +main+, with its +h1+
      def body
        raise NotImplementedError
      end

      # @return [Array(String, String), nil] the address below which the changes of the page are, and the cursor of the moment that it
      #   shows; nil: it does not change
      def live
        nil
      end

      # @return [Array<String>] the ids of the parts of the page that the script asks for again and again, where there are no changes to
      #   follow
      def fresh
        []
      end

      # @return [Integer] of HTTP
      def status
        200
      end

      # A page that accepts a form has a public method +submit+, which handles a form that was sent to the address of the page by a
      # visitor who may act. It returns the address to show next, or nil to show the page again, with what it says about the form.
      # @return [Boolean] whether the page accepts a form
      def self.form?
        method_defined?(:submit)
      end

      private

      # @param href [String]
      # @param content [Object] text
      def link(href, content, **attributes)
        tag(:a, text(content), href: href, **attributes)
      end

      # The first params of a run.
      def given_params(run, most = 3)
        some = run.params.first(most).map { |name, value| "#{caption(name, 30)}: #{caption(value || "nil", 40)}" }
        some << "…" if run.params.size > most
        some.join(", ")
      end

      # A form that is sent by POST to an address.
      def form(action, *content, **attributes)
        tag(:form, content, method: "post", action: action, **attributes)
      end

      # A status with its shape, which is there for those who do not see its colour.
      def state(status)
        tag(:span, text(word(status)), class: "state #{status}")
      end

      # How long it has been going on, which the script counts on.
      # @param since [Time]
      def elapsed(since)
        tag(:span, seconds([Time.now - since, 0.0].max), class: "elapsed", data_since: since.to_f.round(1))
      end

      # @param time [Time]
      def moment(time)
        local = time.strftime("%Y-%m-%d %H:%M:%S")
        tag(:time, text(local), datetime: time.getutc.strftime("%Y-%m-%dT%H:%M:%SZ"), title: "#{local} #{time.strftime("%z")}")
      end
    end
  end
end
