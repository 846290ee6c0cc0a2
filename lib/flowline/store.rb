# frozen_string_literal: true

module Flowline
  # Where runs, checkpoints and cached values are kept: a directory with a SQLite database. One handle a
  # directory and process, never closed: its locks go with it.
  # @api private
  class Store
    # The database within the directory.
    FILE = "flowline.db"

    @handles = {}
    @mutex = Mutex.new

    class << self
      # @param root [String] the directory, made if need be
      # @param within [String, nil] the store that it is a part of
      # @return [Store] the handle of this process
      # @raise [StoreError] it cannot be used
      def at(root, within: nil)
        [*within, root].each { |folder| make(folder) }
        path = File.realpath(root)
        key = [Process.pid, path]
        @mutex.synchronize do
          known = @handles[key]
          known&.there? ? known : @handles[key] = new(path)
        end
      rescue SystemCallError => e
        raise StoreError.new(root, "cannot be written (#{e.message}); check its permissions, or choose another directory")
      end

      # @return [Store, nil] the store of that directory, if there is one
      def existing(root)
        at(root) if File.exist?(File.join(root, FILE))
      end

      private

      # Makes a directory that only its owner may look into, and that version control leaves alone.
      def make(root)
        return if File.directory?(root)

        require "fileutils"
        FileUtils.mkdir_p(File.dirname(root))
        Dir.mkdir(root, 0o700)
        File.write(File.join(root, ".gitignore"), "*\n")
      rescue Errno::EEXIST
        nil # Another process was quicker.
      end
    end

    # @return [String] the directory
    attr_reader :path

    def initialize(path)
      @path = path
      @pid = Process.pid
      @native = guard { open }
      @inode = inode
    end

    # @return [Boolean] whether its file is still the one that was opened
    def there?
      @inode == inode
    end

    # Carries out an operation.
    # @param operation [Symbol]
    # @param arguments [Array<Object>] nil, numbers, Symbols, Strings
    # @param payload [String, nil] bytes to be stored with it; will be frozen
    # @param durable [Boolean] whether to wait until it would survive the loss of power
    # @return [Array<Array>] rows
    # @raise [StoreError] it failed and changed nothing
    def call(operation, *arguments, payload: nil, durable: false)
      guard { @native.call(operation, [arguments], payload, durable) }
    end

    # Carries out an operation for several lists of arguments, all or none.
    # @param lists [Array<Array>]
    # @return [void]
    def batch(operation, lists)
      guard { @native.call(operation, lists, nil, false) } unless lists.empty?
    end

    # @param id [Integer]
    # @return [Integer, nil] the process that has the lock; +nil+: it is ours now
    def acquire(id)
      guard { @native.acquire(id) }
    end

    # @return [Integer, nil] the process that has the lock
    def holder(id)
      guard { @native.holder(id) }
    end

    # @return [void]
    def release(id)
      guard { @native.release(id) } if @pid == Process.pid # Else it has none.
    end

    RUN = %i[id run_id pipeline checkpoint resumed status pid started_at duration error].freeze
    STEP = %i[name status reason attempts started duration error].freeze
    private_constant :RUN, :STEP

    # The latest runs first. One whose process is gone has +crashed+, whatever it could still write.
    # @param pipeline [String, nil]
    # @param limit [Integer, nil] nil: the latest run of every pipeline
    # @return [Array<Hash{Symbol => Object}>]
    def runs(pipeline = nil, limit = nil)
      rows = limit ? call(:runs, pipeline, limit) : call(:last_runs)
      rows.map do |row|
        run = RUN.zip(row).to_h
        run[:started_at] = Time.at(run[:started_at])
        run[:status] = "crashed" if run[:status] == "running" && holder(run[:checkpoint]) != run[:pid]
        run
      end
    end

    # @param run [Integer] its number
    # @return [Array<Hash{Symbol => Object}>] its steps that have ended
    def steps(run)
      call(:steps, run).map { |row| STEP.zip(row).to_h }
    end

    private

    # For its owner alone. What SQLite makes beside the database is so, too.
    def open
      blobs = File.join(path, "blobs")
      [path, blobs].each { |folder| check(folder) if File.directory?(folder) }
      file = File.join(path, FILE)
      begin_with(file) unless File.exist?(file)
      native = Native::Store.open(path)
      shut(0o700, blobs)
      shut(0o600, file, "#{file}-wal", "#{file}-shm", File.join(path, "lock"))
      native
    end

    # No descriptor of a file with locks may be closed here; this one is new.
    def begin_with(file)
      File.new(file, File::WRONLY | File::CREAT | File::EXCL, 0o600).close
    rescue Errno::EEXIST
      nil # Another process was quicker.
    end

    # Whoever can write into it can run code here: it holds +Marshal+ data.
    def check(folder)
      stat = File.stat(folder)
      raise StoreError.new(folder, "belongs to another user; choose another directory, or chown it") unless stat.owned? || stat.uid.zero?
      raise StoreError.new(folder, "can be written by others, who could run code as you; chmod 700 it") unless (stat.mode & 0o022).zero?
    end

    def shut(mode, *files)
      files.each do |file|
        File.chmod(mode, file) unless (File.stat(file).mode & 0o077).zero?
      rescue Errno::ENOENT
        nil # SQLite makes and removes them as it likes.
      end
    end

    # A forked child must not touch what it inherited.
    def guard
      raise StoreError.new(path, "was opened by process #{@pid}; leave a forked child with exit!") unless Process.pid == @pid

      yield
    rescue StoreError
      raise
    rescue Error => e
      raise StoreError.new(path, e.message)
    end

    def inode
      File.stat(File.join(path, FILE)).ino
    rescue SystemCallError
      nil
    end
  end
end
