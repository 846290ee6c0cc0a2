# frozen_string_literal: true

module Flowline
  module Execution
    class Items
      # Names the items of a step, for messages and logs: by the step's +label:+, or by what they look like. A label is one
      # short line without secrets and control characters, whatever the item and the +label:+ are.
      # @api private
      class Labels
        # The most characters of a label.
        MOST = 60
        # So many characters are searched for secrets.
        SEARCHED = 1 << 16
        # So many elements of an Array or a Hash are shown, and so deep.
        ELEMENTS = 3
        DEPTH = 2
        METHOD = ::Kernel.instance_method(:method)
        PLAIN = [::Numeric, ::Symbol, ::NilClass, ::TrueClass, ::FalseClass, ::Time].freeze
        private_constant :MOST, :SEARCHED, :ELEMENTS, :DEPTH, :METHOD, :PLAIN

        class << self
          # @param item [Object]
          # @param context [Context] knows the secrets
          # @return [String, nil] what the item looks like, if none of the user's code has to be called for that
          def plain(item, context)
            case item
            when ::String then line(Error.text(item[0, SEARCHED]).inspect, context)
            when *PLAIN then line(item.inspect, context)
            end
          end

          # @param text [String]
          # @param context [Context]
          # @return [String] one short line without secrets
          def line(text, context)
            text = Name.show(context.mask(text[0, SEARCHED]))
            text.size > MOST ? "#{text[0, MOST - 1]}…" : text
          end
        end

        # @param step [Step]
        # @param environment [Environment]
        def initialize(step, environment)
          @step = step
          @environment = environment
          @label = step.options[:label]
        end

        # @param item [Object]
        # @return [String]
        def call(item)
          Labels.line((@label && given(item)) || look(item), @environment.context)
        end

        private

        # @return [String, nil] nil: there is none, with a warning
        def given(item)
          label = @environment.limits.ask { Events::Hooks.offer(@label, [item]) }
          return Error.text(label) if (::String === label || ::Symbol === label) && !label.empty?

          warn("returned #{TypeHints.describe(label)}, not a String")
        rescue StandardError, ScriptError, SystemStackError => e
          warn("failed: #{Error.account(e)}")
        end

        def warn(what)
          warning = "label: of step #{Name.show(@step.name)} #{what}; its items are named by what they look like"
          @environment.warnings << warning unless @warned
          @warned = true
          nil
        end

        # The content of values of Ruby's own classes, and what other objects show of themselves with an `inspect` of their own.
        def look(item, depth = 0)
          case item
          when ::String then Error.text(item[0, SEARCHED]).inspect
          when *PLAIN then item.inspect
          when ::Array then "[#{several(item, depth) { |value| look(value, depth + 1) }}]"
          when ::Hash then "{#{several(item, depth) { |key, value| "#{look(key, depth + 1)} => #{look(value, depth + 1)}" }}}"
          else own_look(item)
          end
        rescue StandardError, SystemStackError
          TypeHints.describe(item)
        end

        def several(items, depth, &block)
          return "…" if depth >= DEPTH && !items.empty?

          shown = items.first(ELEMENTS).map(&block)
          shown << "…" if items.size > ELEMENTS
          shown.join(", ")
        end

        def own_look(item)
          return TypeHints.kind(item) if !(::Object === item) || METHOD.bind_call(item, :inspect).owner.equal?(::Kernel)

          Error.text(item.inspect)
        end
      end
    end
  end
end
