# frozen_string_literal: true

require "flowline"
require "flowline/cli"
require "json"
require "stringio"

module Torture
  # The pipeline that most tries run. Some outputs are small, and some are larger than a database row may be. One of the
  # large outputs is the same in every pipeline, so that the pipelines share its file. Its step `join` fails as long as
  # the work is broken.
  #
  # Steps refer to this module and not to variables, because the variables that a step captures are part of its identity.
  module Work
    LARGE = 300_000
    STEPS = %i[rows large own items join last].freeze
    # The steps that are recorded when `join` fails.
    BEFORE_JOIN = STEPS.first(4).freeze

    class << self
      # @return [Boolean] whether `join` fails
      attr_accessor :broken
      # @return [String] a file that gets a line when a step starts
      attr_accessor :log

      # @param line [String]
      # @return [void]
      def write(line)
        File.open(log, File::WRONLY | File::CREAT | File::APPEND) { |file| file.syswrite("#{line}\n") }
      end

      # @return [Array<String>] the lines of the log
      def lines
        File.file?(log) ? File.readlines(log, chomp: true) : []
      end

      # @param name [String]
      # @return [Array<Symbol>] the steps of a pipeline that have started
      def started(name)
        lines.filter_map { |line| line.delete_prefix("#{name}/").to_sym if line.start_with?("#{name}/") }.uniq
      end

      # @param name [String, nil]
      # @param keep [Boolean] whether a success keeps the outputs
      # @param label [String] what its steps write to the log
      # @return [Flowline::Pipeline]
      def pipeline(name, keep: false, label: name)
        Flowline.define(name: name, keep_checkpoint: keep, executor: :sequential) { |p| steps(p, label) }
      end

      # @param name [String]
      # @return [Hash{Symbol => Object}] the outputs of a run of that pipeline
      def outputs(name)
        (@outputs ||= {})[name] ||= pipeline(nil, label: name).run!.outputs
      end

      private

      def steps(p, name)
        p.step(:rows) { |_| Work.write("#{name}/rows") && [3, 5, 7] }
        p.step(:large, depends_on: :rows) { |rows| Work.write("#{name}/large") && rows.join("-").ljust(LARGE, "same") }
        p.step(:own, depends_on: :rows) { |rows| Work.write("#{name}/own") && rows.join("+").ljust(LARGE, name) }
        p.step(:items, each: :rows) { |row| Work.write("#{name}/items") && (row * row) }
        p.step(:join, depends_on: %i[large own items]) do |*all|
          Work.write("#{name}/join")
          Work.broken ? raise("broken") : all.map(&:size)
        end
        p.step(:last, depends_on: :join) { |sizes| Work.write("#{name}/last") && sizes.sum }
      end
    end
    self.log = File::NULL
  end
end
