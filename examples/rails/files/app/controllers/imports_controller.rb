# frozen_string_literal: true

class ImportsController < ApplicationController
  before_action :require_login

  def index
    @days = Order.group(:date).order(:date).pluck(:date, Arel.sql("COUNT(*)"), Arel.sql("SUM(cents)"))
    @runs = Flowline::History.runs(pipeline: "OrderImportPipeline", limit: 5)
  end

  def create
    OrderImportJob.perform_later(date: Date.iso8601(params.require(:date)))
    redirect_to root_path
  end
end
