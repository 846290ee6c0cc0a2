# frozen_string_literal: true

module Flowline
  module Integrations
    # The part of {Job} for native jobs of Sidekiq, and a listener for the end of its process.
    # @api private
    module Sidekiq
      # The types that JSON has. (Sidekiq checks what is in a collection.)
      JSON_TYPES = [NilClass, TrueClass, FalseClass, ::String, ::Integer, ::Float, ::Array, ::Hash].freeze
      private_constant :JSON_TYPES

      # The middleware around jobs: pushes a job that has to return to its queue, as it is, with its id and its number of retries.
      class Middleware
        # @param payload [Hash]
        # @return [Object] what the job returns
        def call(_job, payload, _queue)
          yield
        rescue Job::Requeue => e
          # If other middleware refuses it, Sidekiq retries the job as after any error.
          ::Sidekiq::Client.push(e.wait ? payload.merge("at" => Time.now.to_f + e.wait) : payload) or raise

          # Since version 7.3 Sidekiq has a way to say that a job is not done, which batches need.
          raise ::Sidekiq::JobRetry::Skip if defined?(::Sidekiq::Job::Interrupted)
        end
      end

      # The middleware around pushes: refuses secrets on every way into the queue, such as +set+ and +perform_bulk+ of Sidekiq.
      class ClientMiddleware
        # @param job_class [Class, String]
        # @param payload [Hash]
        # @return [Object] what Sidekiq returns
        # @raise [ParamError]
        def call(job_class, payload, _queue, _pool)
          job_class = Object.const_get(job_class) if ::String === job_class && Object.const_defined?(job_class)
          params = payload["args"]&.first
          Job.refuse_secrets(job_class.pipeline, params) if ::Hash === params && Sidekiq.takes_params?(job_class)
          yield
        end
      end

      # The methods of a class.
      module ClassMethods
        # Pushes a job.
        # @param params [Hash] the params of the pipeline
        # @return [String] the id of the job
        # @raise [ParamError]
        def perform_async(params = {})
          super(*Sidekiq.arguments(self, params))
        end

        # Pushes a job for later.
        # @param interval [Numeric, Time]
        # @param params [Hash]
        # @return [String] the id of the job
        # @raise [ParamError]
        def perform_in(interval, params = {})
          super(interval, *Sidekiq.arguments(self, params))
        end
        alias perform_at perform_in

        # Performs a job at once, as a worker would.
        # @param params [Hash]
        # @return [true, nil] nil: middleware has refused it
        # @raise [ParamError]
        def perform_inline(params = {})
          super(*Sidekiq.arguments(self, params))
        end
        alias perform_sync perform_inline
      end

      class << self
        # @return [Boolean] whether Sidekiq is loaded
        def there?
          defined?(::Sidekiq::Client) ? true : false
        end

        # @param job_class [Class]
        # @return [Boolean] whether it is one of Sidekiq
        def job?(job_class)
          there? && job_class.include?(defined?(::Sidekiq::Job) ? ::Sidekiq::Job : ::Sidekiq::Worker)
        end

        def included(job_class)
          super
          job_class.extend(ClassMethods)
        end

        # Learns when the process of Sidekiq is about to end. It has to be called before that starts to work: a job class does so
        # when it is loaded, a Rails application when it starts.
        # @return [void]
        def install
          return if @installed

          @installed = true
          listen = lambda do |config|
            config.on(:quiet) { @stopping = true }
            config.on(:startup) { @stopping = false }
            config.client_middleware { |chain| chain.add(ClientMiddleware) }
          end
          ::Sidekiq.configure_client(&listen) # An embedded Sidekiq is no server.
          ::Sidekiq.configure_server do |config|
            listen.call(config)
            config.server_middleware { |chain| chain.add(Middleware) }
          end
        end

        # @return [Boolean] whether the process takes no more jobs, and is about to end
        def stopping?
          @stopping == true
        end

        # @param job_class [Class]
        # @param params [Hash]
        # @return [Array] the arguments of the job, as JSON has them
        # @raise [ParamError]
        def arguments(job_class, params)
          return [params] unless takes_params?(job_class)

          params = Job::Arguments.check(job_class, params)
          params.empty? ? [] : [params.to_h { |name, value| [name.name, json(job_class.pipeline.params[name], value)] }]
        end

        # @param job_class [Class, Object]
        # @return [Boolean] whether the argument is the params: a +perform+ of the class may take others
        def takes_params?(job_class)
          Class === job_class && job_class <= Job && job_class.method_defined?(:perform) && job_class.instance_method(:perform).owner == Sidekiq
        end

        private

        # Writes a value as text if the type of its param reads it from that again.
        def json(param, value)
          return value if JSON_TYPES.any? { |type| type === value }

          text = text(value)
          return text if reads?(param, text, value)

          raise ParamError, ["param #{Name.show(param.name)} is #{TypeHints.describe(value)}, which JSON does not have; " \
                             "declare its type, or pass something that it can be looked up by"]
        end

        def text(value)
          return value.to_s unless value.respond_to?(:iso8601)

          ::Time === value ? value.iso8601(9) : value.iso8601
        end

        def reads?(param, text, value)
          Definition::Type.coerce(param.type, text) == value
        rescue Definition::Type::Mismatch
          false
        end
      end

      # Runs the pipeline.
      # @param params [Hash] the params of the pipeline
      # @return [Result, nil] nil: an earlier delivery has succeeded
      # @raise [Error] as {Pipeline#run!}
      def perform(params = {})
        params = Job::Arguments.check(self.class, params) if Sidekiq.takes_params?(self.class)
        run_pipeline(params)
      end

      # @return [String, nil]
      def flowline_id
        jid
      end

      # Returns the job to the queue.
      # @param wait [Numeric, nil] seconds; nil: at once
      # @param error [Error] why
      def flowline_requeue(wait, error)
        raise Job::Requeue.new(wait, error)
      end

      # @return [Boolean] see {Job#stopping?}
      def stopping?
        super || (respond_to?(:interrupted?) && interrupted?)
      end
    end
  end
end
