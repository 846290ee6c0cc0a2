# frozen_string_literal: true

# The API of a supplier, simulated: each day has 12 pages of five orders. A page takes SUPPLIER_SECONDS, and is written to the log,
# so that you see how often it was read. While the file tmp/supplier_is_down exists, it answers no one.
module Supplier
  PAGES = 12
  Unavailable = Class.new(StandardError)

  def self.orders(date, page)
    sleep(ENV.fetch("SUPPLIER_SECONDS", "0.1").to_f)
    raise Unavailable, "the supplier is down" if Rails.root.join("tmp/supplier_is_down").exist?

    Rails.root.join("log/supplier.log").open("a") { |file| file.syswrite("#{date} #{page}\n") }
    Array.new(5) { |i| { number: "#{date}-#{(page * 5) + i}", date: date, cents: ((page * 7) + i) * 100 } }
  end
end
