# frozen_string_literal: true

module Flowline
  module CLI
    # A value of the state of a pipeline, from a text of the command line. It stays of the class that the value has had, because
    # the steps that read it expect that.
    module GivenValue
      # The text is no value of the class.
      class Mismatch < Error
      end

      # @param name [String]
      # @param text [String] JSON, or else a text
      # @param before [String, nil] the bytes of the value that is there
      # @return [Object]
      # @raise [Mismatch]
      def self.of(name, text, before)
        before = restore(before) if before
        value = json(text)
        case before
        when nil then value
        when String then String === value ? value : text
        when Numeric, Array, Hash, true, false then same(name, value, before, text)
        else time(name, text, before)
        end
      end

      def self.json(text)
        require "json"
        ::JSON.parse(text)
      rescue ::JSON::ParserError
        text
      end

      def self.same(name, value, before, text)
        kinds = [Integer, Float, Array, Hash].find { |kind| kind === before } || [TrueClass, FalseClass]
        return Float(value) if kinds == Float && Integer === value
        return value if Array(kinds).any? { |kind| kind === value }

        mismatch(name, before, text)
      end

      def self.time(name, text, before)
        require "time"
        kind = [Time, DateTime, Date].find { |type| before.instance_of?(type) }
        kind ? kind.parse(text) : mismatch(name, before, text)
      rescue ArgumentError
        mismatch(name, before, text)
      end

      def self.mismatch(name, before, text)
        kind = TypeHints.kind(before)
        raise Mismatch, "#{Name.show(name)} is #{kind}, and #{Name.show(text)} is no #{kind}"
      end

      # @return [Object, nil] nil: its class is not loaded, so that any value can replace it
      def self.restore(bytes)
        require "date"
        Marshal.load(bytes) # rubocop:disable Security/MarshalLoad -- the pipeline wrote it
      rescue TypeError, ArgumentError, NameError
        nil
      end
      private_class_method :json, :same, :time, :mismatch, :restore
    end
  end
end
