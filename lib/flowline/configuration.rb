# frozen_string_literal: true

module Flowline
  # Settings for the whole process; see {Flowline.configure}.
  class Configuration
    # @return [Boolean] whether runs of pipelines with a name are recorded: unless +FLOWLINE_STORE=off+
    attr_accessor :store
    # @return [Object, nil] where steps are cached that don't say it themselves; +nil+: in memory
    attr_accessor :cache
    # @return [String] the directory of the store: +FLOWLINE_ROOT+, else +.flowline+ in the working directory
    attr_writer :root

    def initialize
      @store = ENV["FLOWLINE_STORE"] != "off"
    end

    # @return [String]
    def root
      @root || ENV["FLOWLINE_ROOT"] || ".flowline"
    end
  end

  @config = Configuration.new

  class << self
    # @return [Configuration]
    attr_reader :config

    # Changes the settings of the process.
    # @yieldparam config [Configuration]
    # @return [void]
    # @example
    #   Flowline.configure { |config| config.root = "/var/lib/import" }
    def configure
      yield config
    end
  end
end
