# frozen_string_literal: true

require_relative "sinatra"

run Shop
