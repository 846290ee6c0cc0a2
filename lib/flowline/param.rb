# frozen_string_literal: true

module Flowline
  # A typed input of every run of a pipeline.
  class Param
    # @return [Symbol]
    attr_reader :name
    # @return [Symbol, Class] one of {Definition::Type::COERCIONS}, or a class its value must be an instance of
    attr_reader :type
    # @return [Object] the value of runs that give none; a lambda is called for each run
    attr_reader :default
    # @return [#include?, nil] the allowed values
    attr_reader :in
    # @return [String, nil] its purpose
    attr_reader :description
    # @return [String, nil] its source location as +file:line+
    attr_reader :location

    # The maximum number of characters of a value in a message.
    SHOWN = 80
    private_constant :SHOWN

    # @param params [Hash{Symbol => Object}] without secrets
    # @return [String] +"date: 2024-01-31, limit: 10"+; values that are no plain ones by their class
    # @api private
    def self.show(params)
      params.map { |name, value| "#{Name.show(name)}: #{text(value)}" }.join(", ")
    end

    # @param value [Object]
    # @return [String] a plain value, shortened; of any other its class
    # @api private
    def self.text(value)
      return TypeHints.describe(value) unless Object === value # Active Support's Time calls methods of the value.

      case value
      when nil then "nil"
      when String, Symbol, Numeric, Time, true, false then cut(Name.show(Error.text(value)))
      else defined?(::Date) && ::Date === value ? cut(value.to_s) : TypeHints.describe(value)
      end
    end

    def self.cut(text)
      text.size > SHOWN ? "#{text[0, SHOWN]}…" : text
    end
    private_class_method :cut

    KNOWN = %i[type required default in description secret].freeze
    FLAGS = %i[required secret].freeze
    private_constant :KNOWN, :FLAGS

    # @param name [Symbol] an option of +run+
    # @param declared [Hash{Symbol => Param}] the params of a pipeline
    # @return [String, nil] if a param has that name, the end of a sentence that says how it is given
    # @api private
    def self.namesake(name, declared)
      "; #{name}: is the option of run, the param is given as params: { #{name}: … }" if declared.key?(name)
    end

    # @param name [Symbol]
    # @option options [Symbol, Class] :type (:any) +:string :symbol :integer :float :decimal :boolean
    #   :date :time :array :hash :any+, or a class
    # @option options [Boolean] :required (false)
    # @option options [Object, #call] :default (nil)
    # @option options [Array, Range, #include?] :in (nil) the allowed values
    # @option options [String] :description (nil)
    # @option options [Boolean] :secret (false) whether its value is redacted from output, logs and errors
    # @raise [DefinitionError] lists every mistake
    def initialize(name, location: nil, **options)
      @name = Name.of(name)
      @location = location
      @type = options.fetch(:type, :any)
      @required = options.fetch(:required, false)
      @default = Definition::Frozen.copy(options[:default])
      @in = Definition::Frozen.copy(options[:in])
      @description = options[:description]
      @secret = options.fetch(:secret, false)
      Definition::Type.load(type)
      DefinitionError.check(sentences(options).map { |sentence| DefinitionError.new("param #{Name.show(@name)}: #{sentence}", location: location) })
      freeze
    end

    # @return [Boolean] whether every run must give a value
    def required?
      @required
    end

    # @return [Boolean] whether its value is redacted everywhere
    def secret?
      @secret
    end

    # Returns the value of the param in a run.
    # @param given [Hash{Symbol => Object}]
    # @return [Object]
    # @raise [Type::Mismatch] its message is the second half of a sentence, after the name of the param
    def value(given)
      value = given.fetch(name) { default_value }
      return coerce(value) unless NilClass === value

      raise Definition::Type::Mismatch, "is required" if required?
    end

    # Calls the user's code that returns a value of the param.
    # @raise [Type::Mismatch] it raised
    # @api private
    def ask
      yield
    rescue StandardError => e
      text = "has a default that failed: #{TypeHints.kind(e)}: #{secret? ? "[secret]" : Error.words(e)}"
      raise Definition::Type::Mismatch, "#{text} (#{Backtrace.location(Backtrace.of(e))})"
    end

    # @return [Boolean] whether the two are declared alike
    def ==(other)
      other.is_a?(Param) && facts == other.facts
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{Name.show(name)} #{Definition::Type.show(type)}#{" required" if required?}>"
    end

    protected

    def facts
      [name, type, required?, default, self.in, secret?]
    end

    private

    def default_value
      return ask { default.call } if default.respond_to?(:call)

      default.frozen? ? default : default.dup # A run never changes its pipeline.
    end

    def coerce(value)
      value = Definition::Type.coerce(type, value)
      return value if self.in.nil? || allowed?(value)

      raise Definition::Type::Mismatch, "must be one of the values that in: allows" if secret?

      raise Definition::Type::Mismatch, "must be in #{TypeHints.excerpt(self.in)}, not #{TypeHints.excerpt(value)}"
    rescue Definition::Type::Mismatch => e
      raise e unless secret?

      raise Definition::Type::Mismatch, e.message[/\A[^,]+/], cause: nil
    end

    # Returns whether +in:+ allows the value. Range#include? raises for endless and beginless ranges, so they use cover?. For
    # ranges of Strings the two differ, and users expect include?.
    def allowed?(value)
      range = self.in
      return range.include?(value) unless range.is_a?(Range) && !(range.begin.is_a?(String) && range.end.is_a?(String))

      range.cover?(value)
    end

    def sentences(options)
      found = (options.keys - KNOWN).map { |option| "unknown option #{option}:#{Name.suggest(option, KNOWN, known: "known are")}" }
      found << "unknown type #{type.inspect}#{Name.suggest(type, Definition::Type::COERCIONS.keys)}" unless Definition::Type.known?(type)
      found.concat(FLAGS.reject { |option| [true, false].include?(options.fetch(option, false)) }
                        .map { |option| "#{option}: must be true or false, not #{TypeHints.excerpt(options[option])}" })
      found << "description: must be a String, not #{TypeHints.excerpt(description)}" unless [NilClass, String, Symbol].include?(description.class)
      found << "in: must be an Array, a Range or another object with `include?`, not #{TypeHints.excerpt(self.in)}" unless collection?
      found << default_problem if found.empty? && !default.nil?
      found.compact
    end

    # Returns whether +in:+ can say which values it has. Texts and modules have an +include?+ of another meaning.
    def collection?
      self.in.nil? || (self.in.respond_to?(:include?) && [String, Symbol, Module].none? { |type| type === self.in })
    end

    def lambda_problem
      needed = Arguments::Signature.of(default).parameters.count { |kind, _| %i[req keyreq].include?(kind) }
      "default: a lambda is called without arguments for each run, this one needs #{needed}" if needed.positive?
    end

    def default_problem
      return lambda_problem if default.respond_to?(:call)

      coerce(default)
      nil
    rescue Definition::Type::Mismatch => e
      "default: #{e.message}"
    end
  end
end
