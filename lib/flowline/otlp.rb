# frozen_string_literal: true

require_relative "../flowline"

# Loaded with `require "flowline/otlp"`: runs export their spans and metrics to the collector that the OTEL_ environment
# variables name. Nothing is started or opened before the first run.
Flowline::Telemetry.export
