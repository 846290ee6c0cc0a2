# frozen_string_literal: true

module Flowline
  class Web
    # A page that starts a run in three steps: a form, the plan for what was typed, and the button that starts it. Nothing but that button
    # starts anything, and it does so through the application's +enqueue:+.
    # @api private
    class Proposal < Page
      # The form of a run's id.
      RUN = /\A\d{8}T\d{6}-\h{8}\z/
      LOOK = "You may look and not start runs: authorize: returned :read, and :act is needed."
      NO_BLOCK = "Runs cannot be started from here. Set enqueue: Flowline::Web.new(enqueue: ->(pipeline, params, resume) { … })."
      private_constant :RUN, :LOOK, :NO_BLOCK

      # @param view [View]
      # @param ids [Array<String>]
      # @raise [Refusal] the visitor may not start runs, or nothing can
      def initialize(view, *ids)
        super
        raise Refusal.new(403, LOOK) unless view.act?
        raise Refusal.new(403, NO_BLOCK) unless view.enqueue?
      end

      # (see Page#status)
      def status
        fields.valid? && @problem.nil? ? 200 : 422
      end

      # (see Page#body)
      def body
        problem = tag(:p, text(short(@problem || wrong_values, 2_000)), class: "problem", role: "alert") unless status == 200
        [way, tag(:h1, text(title)), *about, problem, @plan ? confirmation : first_form].compact.join("\n")
      end

      # Plans the run, or starts it. The button says which.
      # @return [String, nil]
      def submit
        step = view.request.form["do"]
        @fields = Fields.new(params, view.request.form)
        return if step == "change" || !fields.valid?

        step == "start" ? start : plan
      end

      private

      def fields
        @fields ||= Fields.new(params)
      end

      def definition
        view.pipelines[pipeline] || raise(Refusal.new(404, "#{caption(pipeline)} cannot be started here. Add it to pipelines: of Flowline::Web.new."))
      end

      def way
        tag(:p, link(view.url("pipelines", pipeline), caption(pipeline)), class: "way")
      end

      def plan
        coordinator, = definition.prepare_run({ **options, params: fields.values, dry_run: true }, root: view.history.root)
        @plan = coordinator.plan
        nil
      rescue Error, SystemCallError => e
        wrong(e)
      end

      def start
        begun = view.enqueue(definition, fields.values, resumes)
      rescue StandardError => e
        wrong(e, "It could not be started: ")
      else # The run is started, whatever fails from here on.
        view.audit(resumes ? :resume : :start, pipeline: pipeline, **({ run: resumes } if resumes).to_h, params: known)
        id = begun.respond_to?(:run_id) ? begun.run_id : begun
        RUN.match?(id.to_s) ? view.url("runs", id) : view.url("pipelines", pipeline, asked: 1)
      end

      def wrong(error, before = "")
        kind = "#{TypeHints.kind(error)}: " unless error.is_a?(Error)
        @problem = "#{before}#{kind}#{secret_free(error)}"
        nil
      end

      # The message of an error, unless it has the value of a secret.
      def secret_free(error)
        secrets = params.select(&:secret?).filter_map { |param| fields.values[param.name]&.to_s }.reject(&:empty?)
        words = Name.show(Error.words(error))
        secrets.any? { |secret| words.include?(secret) } ? "[secret]" : words
      end

      # The values that the audit may have.
      def known
        fields.values.to_h { |name, value| [name, definition.params[name].secret? ? "[secret]" : value] }
      end

      def first_form
        form(address, tag(:div, [fields.to_s, buttons({ "plan" => "Show the plan" })].join("\n"), class: "form"))
      end

      def confirmation
        names = { "start" => verb, "change" => ("Change" if params.any?) }.compact
        Outline.new(@plan).to_s + form(address, tag(:div, [settled, buttons(names)].join("\n"), class: "form"))
      end

      def wrong_values
        "#{fields.errors.size == 1 ? "A value is" : "#{fields.errors.size} values are"} wrong: see below."
      end

      def settled
        return "" if params.empty?

        tag(:h2, "Params") + fields.settled
      end

      def buttons(names)
        list = names.map do |value, words|
          tag(:button, words, name: "do", value: value, class: ("action" if value == "start"), formnovalidate: value == "change")
        end
        tag(:p, [*list, link(back, "Back")].join(" "), class: "buttons")
      end
    end
  end
end
