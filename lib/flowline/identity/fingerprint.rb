# frozen_string_literal: true

module Flowline
  module Identity
    # The identity of a callable: its code, as normalised bytecode, and the variables that its block has captured. Code
    # that it calls is not followed.
    # @api private
    class Fingerprint
      autoload :Origin, "#{__dir__}/fingerprint/origin"

      # The entries of +RubyVM::InstructionSequence#to_a+ that say where code is, not what it does: version, sizes,
      # names, paths, first line.
      HEADER = 9
      # A line of +disasm+ that reads or sets a local. Instructions have only its index in a table, which changes with
      # the code around the block; +disasm+ has its name. Lines of blocks within the block start with bars.
      LOCAL = /^(?:\| )*\d+ (get|set)(local|blockparam)(\S*)\s+(\S+)@\d+(?:, (\d+))?/
      # A line of +disasm+ that yields.
      YIELD = /^\d+ invokeblock\b/
      # A line of +disasm+ that evaluates code, which may read any variable.
      EVALUATE = /\bmid:(?:eval|binding),.*\bFCALL\b/
      # The parameters without a name that a block may pass on.
      ANONYMOUS = %i[* ** &].freeze
      # Kinds of code that cannot use the locals around it.
      APART = %i[method class].freeze
      # By bytecode: what {read} returns.
      SEEN = ObjectSpace::WeakMap.new
      # By bytecode of a block: the names of the variables that it captures.
      VARIABLES = ObjectSpace::WeakMap.new
      # Ruby's own +Proc#inspect+. It shows the Symbol of +&:symbol+, which has no bytecode.
      SHOWN = Proc.instance_method(:inspect)
      SYMBOL = /\(&:(.+)\)/
      NONE = [].freeze
      UNKNOWN = Object.new.freeze
      private_constant :HEADER, :LOCAL, :YIELD, :EVALUATE, :ANONYMOUS, :APART, :SEEN, :VARIABLES, :SHOWN, :SYMBOL, :NONE, :UNKNOWN

      # @return [String] the digest of the code and its version
      attr_reader :code
      # @return [String] the digest of the code alone
      attr_reader :body
      # @return [String, nil] why its code cannot be seen, so that an edit would not be noticed; nil if it can be, or if
      #   the user gives a version
      attr_reader :unseen

      # @param callable [Object] see {Step#callable}
      # @param version [Object] the version that the user gives to the code that it calls
      def initialize(callable, version: nil)
        @content = NONE
        look_at(callable)
        body, names, code, given, except = @bytecode && Fingerprint.read(@bytecode)
        @unseen ||= given if @block
        @unseen = nil unless version.nil?
        @body = @code = code && @content.empty? ? code : Native.digest([body, @content, nil])
        @code = Native.digest([body, @content, version]) unless version.nil?
        @block && (except || names&.any?) ? capture(@block, names, except) : @names = NONE
        value
      end

      # @return [String, nil] why it cannot be compared: its code cannot be seen, or a captured value cannot be digested
      def problem
        value
        known_problem
      end

      # @return [String, nil] {#problem}, as it was at the last {#value}
      def known_problem
        (unseen && "is something whose code cannot be seen (#{unseen})") || @problem || @unlike
      end

      # Returns the digest of the code and the captured values. A variable that refers to another object by now is digested
      # again; a change of the object itself is not seen.
      # @return [String]
      def value
        @names.each_index do |at|
          object = @binding.local_variable_get(@names[at])
          look_again(at, object) unless @objects[at].equal?(object)
        end
        @value ||= digest_all
      end

      # Yields the captured values that have a digest, as they were at the last {#value}.
      # @yieldparam name [Symbol]
      # @yieldparam digest [String]
      # @return [void]
      def each_captured
        @names.each_index { |at| yield @names[at], @digests[at] if @digests[at] }
      end

      class << self
        # @param bytecode [RubyVM::InstructionSequence]
        # @return [Array(String, Array<Symbol>, String, String, Array<Symbol>)] a digest without line numbers; the outer locals that
        #   it reads and never sets; the digest of a callable without captures; if it is a block that uses more of the method around
        #   it than locals, why its code cannot be seen; and, if it may read any outer local, those that it sets
        def read(bytecode)
          SEEN[bytecode] ||= begin
            locals = bytecode.disasm.scan(LOCAL).map { |use| use.first(4) }
            body = Native.digest([normalise(bytecode.to_a), locals])
            read, set = outer(bytecode, 0).partition { |verb,| verb == "get" }.map { |uses| uses.map(&:last) }
            [body, read.uniq - set, Native.digest([body, NONE, nil]), given(bytecode, read), (set if bytecode.disasm.match?(EVALUATE))]
          end
        end

        # @param bytecode [RubyVM::InstructionSequence]
        # @return [Boolean] whether it is that of a block, which may capture locals
        def block?(bytecode)
          bytecode.to_a[HEADER] == :block
        end

        private

        # Returns what a block gets from the method around it that has neither code nor a name here.
        def given(bytecode, read)
          return unless block?(bytecode)
          return "it yields to the block of the method around it" if yields?(bytecode)

          "it passes on parameters without a name of the method around it" if (read & ANONYMOUS).any?
        end

        def yields?(bytecode)
          return true if own_lines(bytecode).grep(YIELD).any?

          found = false
          bytecode.each_child { |child| found ||= yields?(child) unless APART.include?(child.to_a[HEADER]) }
          found
        end

        # Returns the instructions of the bytecode without those of the code within it.
        def own_lines(bytecode)
          bytecode.disasm[/.+?(?=^== disasm|\z)/m].scan(/^\d.*/)
        end

        # Lists the uses of outer locals. An instruction counts its levels from its own block, so the depth of nested blocks is
        # subtracted.
        def outer(bytecode, depth)
          own = own_lines(bytecode).filter_map do |line|
            verb, _, how, name, level = line.match(LOCAL)&.captures
            [verb, name.to_sym] if verb && (how[/_WC_(\d)/, 1] || level).to_i > depth
          end
          bytecode.each_child { |child| own.concat(outer(child, depth + 1)) unless APART.include?(child.to_a[HEADER]) }
          own
        end

        def normalise(part)
          case part
          when Hash then part.transform_values { |value| normalise(value) }
          when Symbol, String, Numeric, nil, true, false then part
          when Array then list(part)
          else Digest.try(part) || part.inspect
          end
        end

        def list(list)
          return list.map { |part| normalise(part) } unless list.first == "YARVInstructionSequence/SimpleDataFormat"

          *rest, instructions = list.drop(HEADER)
          # Remove line numbers and events.
          instructions = instructions.grep_v(Integer).reject { |entry| entry.is_a?(Symbol) && entry.start_with?("RUBY_EVENT") }
          instructions = instructions.map { |entry| Array === entry && entry.first.match?(/local|blockp/) ? [entry[0], *entry.drop(2)] : entry }
          normalise([*rest, *instructions])
        end
      end

      private

      # Digests the code and the captured values.
      def digest_all
        return code if @names.empty?

        @unlike = @problems&.compact&.first
        Native.digest([code, @names, @digests])
      end

      # Finds the parts of a callable: its bytecode, names, and the content of objects.
      def look_at(callable)
        case callable
        when Definition::BoundBlock then look_at(callable.block)
        when Proc then look_at_block(callable)
        when Method, UnboundMethod then look_at_method(callable)
        else
          entry = Arguments::Signature.entry(callable)
          return look_at(callable.callable) if callable.is_a?(Step) && entry.owner == Step

          @content += [content("the object", callable)]
          look_at_entry(entry)
        end
      end

      def look_at_block(block)
        if (@bytecode = bytecode(block))
          @block = block
        elsif (symbol = SHOWN.bind_call(block)[SYMBOL, 1])
          @content += [symbol]
        elsif (method = Origin.method_of(block))
          look_at_method(method)
        else
          @unseen = "a Proc made of others"
        end
      end

      def look_at_method(method)
        @content += [[method.owner.name, method.name, receiver(method)]]
        look_at_entry(method)
      end

      # Finds the parts of a method, which is defined by +def+, by a block, or built into Ruby. A built-in method is
      # identified by its name and receiver.
      def look_at_entry(method)
        block = Origin.block_of(method)
        return look_at_block(block) if block

        @bytecode = bytecode(method)
        return @unseen = "the block that defines `#{method.name}` is not found" if @bytecode && Fingerprint.block?(@bytecode)

        look_at_native(method) if @bytecode.nil? || @bytecode.path.start_with?("<internal:") # Ruby's own, written in Ruby.
      end

      def look_at_native(method)
        owner = method.owner
        @content += [[owner.name, method.original_name]]
        if !owner.method_defined?(method.name) && !owner.private_method_defined?(method.name)
          @unseen = "`#{method.name}` is answered by method_missing"
        elsif @problem
          @unseen = "`#{method.name}` is built in and #{@problem}"
        end
      end

      def receiver(method)
        return if method.is_a?(UnboundMethod) || method.receiver.equal?(TOPLEVEL_BINDING.receiver)

        content("the receiver", method.receiver)
      end

      def bytecode(callable)
        RubyVM::InstructionSequence.of(callable)
      rescue TypeError
        nil
      end

      # @param names [Array<Symbol>] the outer locals that the block reads and does not set
      # @param except [Array<Symbol>, nil] those that it sets, if it may read any other
      def capture(block, names, except)
        @binding = block.binding
        # Anonymous parameters have names, too, but no variable.
        @names = VARIABLES[@bytecode] ||= except ? @binding.local_variables - except : names & @binding.local_variables
        @objects = Array.new(@names.size, UNKNOWN)
        @digests = []
      end

      # Digests the object that a captured variable refers to now.
      def look_again(index, object)
        @value = nil
        @objects[index] = object
        @problems[index] = nil if @problems
        @digests[index] = digest(@names[index], object) { |problem| (@problems ||= [])[index] = problem }
      end

      def content(name, object)
        digest(name, object) { |problem| @problem = problem }
      end

      # @yieldparam problem [String] why there is no digest
      # @return [String, nil]
      def digest(name, object)
        Native.digest(object)
      rescue Flowline::Identity::Digest::Impossible => e
        yield "captures #{name} (#{e.message}), which cannot be digested"
        nil
      end
    end
  end
end
