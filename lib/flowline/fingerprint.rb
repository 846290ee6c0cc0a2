# frozen_string_literal: true

module Flowline
  # What a callable is: its code, as normalised bytecode, and what its block has captured. Code that it calls is not
  # followed.
  # @api private
  class Fingerprint
    # The entries of +RubyVM::InstructionSequence#to_a+ that say where code is, not what it does: version, sizes,
    # names, paths, first line.
    HEADER = 9
    # A line of +disasm+ that reads or sets a local. Instructions have but its place in a table, which changes with
    # the code around the block; here is its name. Blocks within the block stand in its catch table, after bars.
    LOCAL = /^(?:\| )*\d+ (get|set)(local|blockparam)(\S*)\s+(\S+)@\d+(?:, (\d+))?/
    # Code that has no part in the locals around it.
    APART = %i[method class].freeze
    # By bytecode: its digest, and the outer locals it reads and sets.
    SEEN = ObjectSpace::WeakMap.new
    private_constant :HEADER, :LOCAL, :APART, :SEEN

    # @return [String] the digest of the code alone
    attr_reader :code

    # @param callable [Object] see {Step#callable}
    # @param version [Object] what the user says is the version of what it calls
    def initialize(callable, version: nil)
      callable = callable.block if callable.is_a?(Rebound)
      bytecode, content = parts(callable)
      body, locals = bytecode && Fingerprint.read(bytecode)
      @code = Native.digest([body, content, version])
      @captures = callable.is_a?(Proc) && locals ? captures(callable, locals) : {}
      value
    end

    # @return [String, nil] what it captures that cannot be digested
    def problem
      value
      @problem || @captures.each_value.filter_map(&:last).first
    end

    # The code and what is captured. A variable that was bound to another object is digested again; a change of the
    # object itself is not seen.
    # @return [String]
    def value
      @captures.each do |name, known|
        object = @binding.local_variable_get(name)
        next if known && known.first.equal?(object)

        @captures[name] = [object, *digest(name, object)]
        @value = nil
      end
      @value ||= @captures.empty? ? code : Native.digest([code, @captures.transform_values { |known| known[1] }])
    end

    class << self
      # @param bytecode [RubyVM::InstructionSequence]
      # @return [Array(String, Array)] a digest without what changes when lines move, and for
      #   each use of an outer local, whether it is read or set, and its name
      def read(bytecode)
        SEEN[bytecode] ||= begin
          locals = bytecode.disasm.scan(LOCAL).map { |use| use.first(4) }
          [Native.digest([normalise(bytecode.to_a), locals]), outer(bytecode, 0)]
        end
      end

      private

      # A use counts its levels from where it stands; code within the block has those of the block between.
      def outer(bytecode, depth)
        own = bytecode.disasm[/.+?(?=^== disasm|\z)/m].scan(/^\d.*/).filter_map do |line|
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
        # Numbers between them are lines, and some Symbols are events.
        instructions = instructions.grep_v(Integer).reject { |entry| entry.is_a?(Symbol) && entry.start_with?("RUBY_EVENT") }
        instructions = instructions.map { |entry| Array === entry && entry.first.match?(/local|blockp/) ? [entry[0], *entry.drop(2)] : entry }
        normalise([*rest, *instructions])
      end
    end

    private

    # Bytecode, and what else makes a callable.
    def parts(callable)
      case callable
      # &:symbol has no bytecode, but says what it is.
      when Proc then [bytecode(callable), callable.inspect[/\(&:(.+)\)/, 1] || code_of_its_own(callable)]
      when Method, UnboundMethod then [bytecode(callable), [callable.owner.name, callable.name, receiver(callable)]]
      else [bytecode(Signature.entry(callable)), content("the object", callable)]
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

    # Made of methods or of other Procs.
    def code_of_its_own(block)
      @problem = "is a Proc made of others, whose code cannot be seen" unless bytecode(block)
      nil
    end

    # The outer locals that the block reads and does not set.
    def captures(block, outer)
      read, set = outer.partition { |verb,| verb == "get" }.map { |uses| uses.map(&:last) }
      @binding = block.binding
      ((read - set) & @binding.local_variables).to_h { |name| [name, nil] }
    end

    def content(name, object)
      digest, @problem = digest(name, object)
      digest
    end

    # @return [Array(String, nil), Array(nil, String)] its digest, or why it has none
    def digest(name, object)
      [Native.digest(object), nil]
    rescue Flowline::Digest::Impossible => e
      [nil, "captures #{name} (#{e.message}), which cannot be digested"]
    end
  end
end
