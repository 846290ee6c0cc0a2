# frozen_string_literal: true

module Flowline
  module Planning
    # The steps that +only:+ and +from:+ select for a run, by position.
    # @api private
    class Selection
      # @param dag [DAG]
      # @param only [Symbol, String, Array, nil] +"name"+, +"+name"+ (and upstream), +"name+"+ (and downstream),
      #   +"tag:x"+, or several
      # @param from [Symbol, Array<Symbol>, nil] these and everything downstream
      # @param params [Hash{Symbol => Param}] of the pipeline
      # @raise [ParamError] a name is unknown, or the list is empty
      def initialize(dag, only, from, params = {})
        @dag = dag
        @params = params
        @problems = []
        origins = Array(from).filter_map { |name| known(text(name), "from") }
        @rerun = ids(origins, :downstream).to_set
        @rerun.merge(Array(only).flat_map { |selector| select(text(selector)) })
        { only: only, from: from }.each { |option, given| @problems << "run: #{option}: names no step" if given && Array(given).empty? }
        Error.raise_at_caller(ParamError.new(@problems)) unless @problems.empty?
        @picks = !(only || from).nil?
        @idle = (only ? (0...dag.size) : ids(origins, :upstream)).to_set - @rerun
      end

      # @return [Boolean] whether the step takes part
      def wanted?(id)
        !@picks || !@idle.include?(id)
      end

      # @return [Boolean] whether the step runs even if it is recorded
      def rerun?(id)
        @picks && @rerun.include?(id)
      end

      private

      # @return [String] in UTF-8, as the names of steps are
      def text(name)
        Name.of(name.is_a?(Symbol) ? name : Error.text(name.to_s)).name
      end

      def select(selector)
        return tagged(selector.delete_prefix("tag:")) if selector.start_with?("tag:") && !name?(selector)
        return ids([selector], nil) if name?(selector)

        name = known(selector.delete_prefix("+").delete_suffix("+"), "only") or return []
        ups = selector.start_with?("+") ? ids([name], :upstream) : []
        downs = selector.end_with?("+") ? ids([name], :downstream) : []
        ups | downs | ids([name], nil)
      end

      def name?(text)
        name = text.to_sym
        @dag.index.key?(name) || @dag.groups.key?(name)
      end

      def known(name, option)
        return name.to_sym if name?(name)

        @problems << "run: #{option}: there is no step #{Name.show(name)}#{Name.suggest(name, @dag.index.keys, known: "there are")}" \
                     "#{Param.namesake(option.to_sym, @params)}"
        nil
      end

      def tagged(tag)
        found = @dag.steps.each_index.select { |id| @dag.steps[id].tags.include?(tag.to_sym) }
        @problems << "run: only: no step has the tag #{tag}#{Name.suggest(tag, @dag.steps.flat_map(&:tags).uniq)}" if found.empty?
        found
      end

      def ids(names, direction)
        names = names.flat_map { |name| @dag.members(name.to_sym) }
        (direction ? @dag.public_send(direction, *names) : names).map { |name| @dag.index[name] }
      end
    end
  end
end
