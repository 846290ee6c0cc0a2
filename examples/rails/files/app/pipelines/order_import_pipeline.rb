# frozen_string_literal: true

# Imports the orders of a day, page by page. A page that is read is recorded, and not read again after a deployment, a crash or a
# failure.
class OrderImportPipeline < Flowline::Pipeline
  param :date, type: :date, required: true, description: "The day of the orders"

  step(:pages) { (1..Supplier::PAGES).to_a }

  step :fetch, each: :pages, retries: 2, retry_delay: 0.2, label: ->(page) { "page #{page}" } do |page, date:|
    Supplier.orders(date, page)
  end

  # A step runs at least once, so rows are replaced, not added.
  step :save, each: :fetch do |orders|
    now = Time.current
    Order.upsert_all(orders.map { |order| order.merge(created_at: now, updated_at: now) }, unique_by: :number)
    orders.size
  end

  step :total, depends_on: :save do |sizes, ctx, date:|
    ctx.logger.info("#{sizes.sum} orders of #{date}")
    Order.where(date: date).sum(:cents)
  end
end
