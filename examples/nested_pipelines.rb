# frozen_string_literal: true

# Nests one pipeline twice: two shops send orders, and the same steps clean each shop's orders.
#
#   flowline run examples/nested_pipelines.rb
#   flowline visualize examples/nested_pipelines.rb

require "flowline"

# It can also be run and tested alone: CLEAN.run(input: orders).
CLEAN = Flowline.define do
  step :normalise do |orders|
    orders.map { |order| { id: order[:id].to_s.upcase, cents: (Float(order[:total]) * 100).round } }
  end

  step(:deduplicate, depends_on: :normalise) { |orders| orders.uniq { |order| order[:id] } }
end

ORDERS = Flowline.define(name: "orders") do
  step :fetch_lyon do
    [{ id: "a1", total: "10.00" }, { id: "a2", total: "25.50" }, { id: "A1", total: "10.00" }, { id: "a3", total: "7.50" }]
  end

  step(:fetch_porto) { [{ id: 7, total: 12 }, { id: 8, total: 7.5 }] }

  # The first step of CLEAN receives the fetched orders. The output of :lyon is the output of CLEAN's last step.
  step :lyon, CLEAN, depends_on: :fetch_lyon
  step :porto, CLEAN, depends_on: :fetch_porto

  step :totals, depends_on: %i[lyon porto] do |shops|
    shops.transform_values { |orders| { orders: orders.size, cents: orders.sum { |order| order[:cents] } } }
  end

  step :print, depends_on: :totals do |totals|
    totals.each do |shop, total|
      puts format("%<shop>-8s %<orders>d orders %<euros>8.2f", shop: shop.capitalize, orders: total[:orders], euros: total[:cents] / 100.0)
    end
  end
end

exit ORDERS.run(reporter: :console).success? if $PROGRAM_NAME == __FILE__
