# frozen_string_literal: true

# A login that is as short as it can be. The web page of Flowline uses the same session.
class SessionsController < ApplicationController
  def create
    session[:admin] = ActiveSupport::SecurityUtils.secure_compare(params[:password].to_s, ENV.fetch("ADMIN_PASSWORD", "flowline"))
    redirect_to(session[:admin] ? root_path : login_path)
  end
end
