# frozen_string_literal: true

require "json"

module Flowline
  class Web
    # The fields of a form for the params of a pipeline: a field for each, of its type; and the values that were typed. An empty field, and
    # one that still has the default, gives no value. Secrets are never sent back to the browser.
    # @api private
    class Fields
      include Report::Markup

      # The names of the fields begin with this.
      PREFIX = "param:"
      # The names of the fields that say which secrets were typed before.
      AGAIN = "again:"
      # The most values that are listed for a choice.
      CHOICES = 200
      # Types of fields by types of params; others are lines of text.
      TYPES = { integer: "number", float: "number", date: "date" }.freeze
      private_constant :PREFIX, :AGAIN, :CHOICES, :TYPES

      # @return [Hash{Symbol => String}] by param, what is wrong with its value, as the end of a sentence
      attr_reader :errors
      # @return [Hash{Symbol => Object}] the values that were typed, coerced
      attr_reader :values

      # @param params [Array<Param>]
      # @param form [Hash{String => String}, nil] the form that was sent; nil: none was
      def initialize(params, form = nil)
        @params = params
        @form = form
        @errors = {}
        @values = {}
        form ? take : @texts = params.to_h { |param| [param.name, Facts.default(param)] }
      end

      # @return [Boolean] whether every value is right
      def valid?
        errors.empty?
      end

      # @return [Boolean] whether one of the params is a secret
      def secrets?
        @params.any?(&:secret?)
      end

      # @return [String] the fields, with what was typed, as HTML
      def to_s
        @params.map { |param| field(param) }.join("\n")
      end

      # @return [String] what was typed, to be read and sent again: secrets have to be typed again
      def settled
        secrets, others = @params.select { |param| @values.key?(param.name) }.partition(&:secret?)
        return tag(:p, "All params have their defaults.") if secrets.empty? && others.empty?

        listed = tag(:dl, others.map { |param| tag(:dt, text(label(param))) + tag(:dd, code(short(@texts[param.name], 400))) }) if others.any?
        again = secrets.map { |param| hidden(AGAIN, param, "1") + field(param, hint: "secret: it is not sent back, so type it again") }
        [listed, *others.map { |param| hidden(PREFIX, param, @texts[param.name]) }, *again].compact.join("\n")
      end

      private

      def take
        @texts = @params.to_h { |param| [param.name, @form.fetch(PREFIX + param.name.name, "").gsub("\r\n", "\n")] }
        @params.each do |param|
          typed = @texts[param.name]
          next @errors[param.name] = "has to be typed again" if typed.empty? && @form.key?(AGAIN + param.name.name)

          given = typed.empty? || typed == Facts.default(param) ? {} : { param.name => Facts.value(param, typed) }
          value = param.value(given)
          @values[param.name] = value unless given.empty?
        rescue Flowline::Definition::Type::Mismatch => e
          @errors[param.name] = e.message
        end
      end

      def label(param)
        caption(param.name)
      end

      def hidden(prefix, param, value)
        input(type: "hidden", name: prefix + param.name.name, value: value)
      end

      def field(param, hint: nil)
        required = param.required? || !hint.nil?
        wrong = errors[param.name]
        id = "field-#{@params.index(param)}"
        help = tag(:span, text(hint || Facts.hint(param)), id: "#{id}-hint", class: "quiet")
        problem = tag(:span, text("#{label(param)} #{wrong}."), id: "#{id}-error", class: "problem") if wrong
        about = { id: id, name: PREFIX + param.name.name, aria_describedby: ["#{id}-hint", ("#{id}-error" if wrong)].compact.join(" "),
                  aria_invalid: ("true" if wrong), required: required }
        name = tag(:label, text(label(param)) + (required ? " (required)" : ""), for: id)
        tag(:div, [name, control(param, about, wrong), help, problem].compact.join("\n"), class: "field")
      end

      def control(param, about, wrong)
        return input(**about, type: "password", autocomplete: "off") if param.secret?

        values = Facts.choices(param)
        return choice(param, values, about) if values && values.size <= CHOICES
        return area(param, about) if %i[array hash].include?(Facts.type(param)) || @texts[param.name].include?("\n")

        # A browser shows nothing of a text that is no date or no number.
        type = wrong ? "text" : TYPES.fetch(Facts.type(param), "text")
        input(**about, type: type, value: @texts[param.name], **(wrong ? {} : Facts.limits(param)))
      end

      def area(param, about)
        tag(:textarea, "\n#{text(@texts[param.name])}", rows: 3, **about)
      end

      def choice(param, values, about)
        given = @texts[param.name]
        options = values.map { |value| tag(:option, text(short(value, 80)), value: value, selected: value == given) }
        nothing = tag(:option, param.required? ? "" : Facts.omitted(param), value: "")
        options.unshift(nothing) if given.empty? || !values.include?(Facts.default(param))
        tag(:select, options, **about)
      end
    end
  end
end

require_relative "fields/facts"
