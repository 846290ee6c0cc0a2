# frozen_string_literal: true

desc "Kill runs COUNT times (300) and resume each; print what was lost or wrong"
task torture: :compile do
  $LOAD_PATH.unshift("lib")
  require "flowline"
  require_relative "../spec/torture/killing"
  killing = Torture::Killing.new
  rows = [killing.boundaries, killing.instants(Integer(ENV.fetch("COUNT", "300")))]
  puts ["fault".ljust(24), *%w[tries lost wrong].map { |word| word.rjust(6) }].join(" ")
  rows.each { |row| puts [row.fault.ljust(24), *[row.tries, row.lost.size, row.wrong.size].map { |count| count.to_s.rjust(6) }].join(" ") }
  problems = rows.flat_map { |row| row.lost + row.wrong }
  abort problems.first(20).join("\n") if problems.any?
end
