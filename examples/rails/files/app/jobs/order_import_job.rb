# frozen_string_literal: true

# The arguments are the params of the pipeline: OrderImportJob.perform_later(date: Date.yesterday)
class OrderImportJob < ApplicationJob
  include Flowline::Job

  pipeline "OrderImportPipeline", executor: :parallel, max_threads: 2
  retry_on Supplier::Unavailable, wait: 5, attempts: 3
end
