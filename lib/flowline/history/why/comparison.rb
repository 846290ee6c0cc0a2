# frozen_string_literal: true

module Flowline
  module History
    class Why
      # The differences of a step between two runs, from the graphs of both, their params, and what their cache keys were made of.
      # @api private
      class Comparison
        # The parts of a declaration that are compared, each as a text.
        DECLARED = %i[version conditions run_if each].freeze
        private_constant :DECLARED

        # @param run [Run]
        # @param other [Run] an earlier one
        # @param name [Symbol] the step
        def initialize(run, other, name)
          @run = run
          @other = other
          @name = name
          @now = run.step(name)
          @before = other.step(name)
        end

        # @return [Array<Change>]
        def changes
          parts = [@before, @now].map { |step| step.grounds[:parts] }
          inputs = parts.all? ? of_parts(*parts) : params(taken) + outputs
          (declared + inputs).uniq
        end

        private

        # The differences of the declaration. Graphs of older versions have less.
        def declared
          before, now = [@other, @run].map { |run| node(run) }
          return [] unless before && now

          changes = DECLARED.filter_map { |kind| Change.new(kind, nil, shown(kind, before), shown(kind, now)) if before[kind] != now[kind] }
          changes << Change.new(:code, nil, nil, now[:location]) if before[:code] && before[:code] != now[:code]
          names = [[@other, before], [@run, now]].map { |run, step| dependencies(run, step).join(", ") }
          changes << Change.new(:dependencies, nil, *names) if names.uniq.size > 1
          changes
        end

        def shown(kind, node)
          node[kind] unless kind == :conditions # That is a digest.
        end

        def node(run)
          run.node(@name)
        end

        def dependencies(run, node)
          (node[:after] || []).map { |position| run.graph[:steps][position][:name] }
        end

        # @return [Array<Symbol>] the params of the run that the step takes
        def taken
          known = @run.params.keys | @other.params.keys
          names = node(@run)&.fetch(:params, []) || []
          names.include?("*") ? known : known & names.map(&:to_sym)
        end

        def params(names)
          names.filter_map { |name| param(name) if @run.params[name] != @other.params[name] }
        end

        def param(name)
          Change.new(:param, name, @other.params[name], @run.params[name])
        end

        # The differences of the parts of a cache key. A part without an equal one is new.
        def of_parts(before, now)
          digests = before.to_h { |kind, name, digest| [[kind, name], digest] }
          now.reject { |kind, name, digest| digests[[kind, name]] == digest }.flat_map { |kind, name, _| of_part(kind.to_sym, name.to_sym) }
        end

        def of_part(kind, name)
          case kind
          when :param then param(name)
          when :output then output(name)
          when :context then context
          else Change.new(kind, name)
          end
        end

        def context
          changes = params(taken)
          changes.empty? ? Change.new(:context) : changes
        end

        def output(name)
          Change.new(:output, name, *[@other, @run].map { |run| run.step(name)&.preview })
        end

        # The dependencies whose outputs look different. Their digests are not recorded, unless the step is cached.
        def outputs
          before, now = [@other, @run].map { |run| node(run)&.then { |step| dependencies(run, step) } || [] }
          (before & now).map { |name| output(name.to_sym) }.select { |change| change.before && change.after && change.before != change.after }
        end
      end
    end
  end
end
