# frozen_string_literal: true

Rails.application.routes.draw do
  root "imports#index"
  resources :imports, only: :create
  get "login", to: "sessions#new"
  post "login", to: "sessions#create"

  # Runs as web pages, for those who are logged in. They can start an import there, too: it becomes a job.
  mount Flowline::Web.new(
    authorize: ->(env) { [:act, "admin"] if env["rack.session"]["admin"] },
    pipelines: -> { [OrderImportPipeline] },
    enqueue: ->(_pipeline, params, _run_id) { OrderImportJob.perform_later(**params) }
  ) => "/flowline"
end
