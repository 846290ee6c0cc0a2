# frozen_string_literal: true

Rails.application.routes.draw do
  root "imports#index"
  resources :imports, only: :create
  get "login", to: "sessions#new"
  post "login", to: "sessions#create"

  # Runs as web pages, for those who are logged in. An import that is started there becomes a job, too.
  authorize = ->(env) { [:act, "admin"] if env["rack.session"]["admin"] }
  enqueue = lambda do |pipeline, params, resume|
    resume ? pipeline.start(params: params, resume: resume) : OrderImportJob.perform_later(**params)
  end
  mount Flowline::Web.new(authorize: authorize, enqueue: enqueue) => "/flowline"
end
