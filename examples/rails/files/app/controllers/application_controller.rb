# frozen_string_literal: true

class ApplicationController < ActionController::Base
  private

  def require_login
    redirect_to(login_path) unless session[:admin]
  end
end
