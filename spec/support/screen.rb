# frozen_string_literal: true

require "io/console"
require "io/wait"
require "pty"

# A small terminal emulator: what a person sees of the bytes that a program writes. It knows the sequences that Flowline writes,
# and raises for others. Lines that are wrapped are wrapped again when its width changes, as most terminals do.
class Screen
  # A line of the screen, and whether it continues in the next one.
  Line = Struct.new(:cells, :wrapped) do
    def to_s
      cells.map { |cell| cell || " " }.join.rstrip
    end
  end

  TOKEN = /\e\[[\d;?]*[A-Za-z]|\r|\n|\a|\e.?|[^\e\r\n\a]/
  attr_reader :columns, :rows

  # @param rows [Integer]
  # @param columns [Integer]
  def initialize(rows, columns)
    @rows = rows
    @columns = columns
    @lines = [Line.new([], false)]
    @y = @x = 0
    @cursor = true
    @wraps = true
    @rest = "".b
  end

  # @return [Boolean] whether the cursor is visible
  def cursor?
    @cursor
  end

  # @return [Array<String>, nil] the lines on the screen when the cursor was shown again
  attr_reader :given_back

  # @return [Array<String>] the lines on the screen, without empty ones at the end
  def lines
    trim(@lines.last(@rows).map(&:to_s))
  end

  # @return [Array<String>] every line, those that were scrolled away included, without empty ones at the end
  def history
    trim(@lines.map(&:to_s))
  end

  # @param bytes [String]
  # @return [void]
  def feed(bytes)
    text = @rest + bytes.b
    unfinished = text[/(?:\e[\[\d;?]*|[\xC0-\xFF][\x80-\xBF]*)\z/n].to_s
    unfinished = "" if unfinished.dup.force_encoding("UTF-8").then { |char| char.valid_encoding? && !char.start_with?("\e") }
    whole = text.byteslice(0, text.bytesize - unfinished.bytesize)
    @rest = unfinished.b
    whole.force_encoding("UTF-8").scan(TOKEN) { |token| obey(token) }
  end

  # @param rows [Integer]
  # @param columns [Integer]
  # @return [void]
  def resize(rows, columns)
    wrap(columns) if columns != @columns
    # A lower screen first loses the lines below the cursor.
    @lines.pop while @lines.last(@rows).size > rows && @lines.size - 1 > @y && @lines.size > 1
    @rows = rows
    @columns = columns
  end

  private

  def trim(lines)
    lines.pop while lines.last&.empty?
    lines
  end

  def obey(token)
    case token
    when "\n" then feed_line(false)
    when "\r" then @x = 0
    when "\a", /\A\e\[[\d;]*m\z/ then nil
    when /\A\e\[(\d*)A\z/ then @y = [@y - [Regexp.last_match(1).to_i, 1].max, top].max
    when "\e[J" then erase
    when "\eD" then feed_line(false, @x)
    when "\e[K" then @lines[@y].cells = @lines[@y].cells.first(@x)
    when "\e[C" then @x = [@x + 1, @columns - 1].min
    when "\e[?7l" then @wraps = false
    when "\e[?7h" then @wraps = true
    when "\e[?25l" then @cursor = false
    when "\e[?25h"
      @cursor = true
      @given_back = lines
    when /\A\e/ then raise "unknown sequence #{token.inspect}"
    else put(token)
    end
  end

  # The first line on the screen.
  def top
    [@lines.size - @rows, 0].max
  end

  # The terminal turns a line feed into a new line.
  def feed_line(wrapped, column = 0)
    @lines[@y].wrapped = wrapped
    @y += 1
    @x = column
    @lines << Line.new([], false) if @y == @lines.size
  end

  def erase
    @lines = @lines.first(@y + 1)
    @lines[@y].cells = @lines[@y].cells.first(@x)
    @lines[@y].wrapped = false
  end

  def put(char)
    width = Flowline::Text.width(char)
    return join(char) if width.zero?

    return if @x + width > @columns && !@wraps

    feed_line(true) if @x + width > @columns
    cells = @lines[@y].cells
    cells << nil while cells.size < @x
    cells[@x] = char
    cells[@x + 1] = "" if width == 2
    @x += width
  end

  def join(char)
    cells = @lines[@y].cells
    cells[@x - 1] = "#{cells[@x - 1]}#{char}" if @x.positive?
  end

  # Wraps all lines again. The cursor stays at its character.
  def wrap(columns)
    cursor = [@y, @x]
    paragraphs = []
    @lines.each_with_index do |line, y|
      paragraphs << [[], nil] unless y.positive? && @lines[y - 1].wrapped
      cells, = paragraphs.last
      paragraphs.last[1] = cells.size + cursor[1] if y == cursor[0]
      cells.concat(line.cells)
    end
    @lines = []
    paragraphs.each { |cells, offset| add(cells, offset, columns) }
  end

  def add(cells, offset, columns)
    pieces = cells.empty? ? [[]] : cells.each_slice(columns).to_a
    if offset
      row = [offset / columns, pieces.size - 1].min
      @y = @lines.size + row
      @x = offset - (row * columns)
    end
    pieces.each_with_index { |piece, index| @lines << Line.new(piece, index < pieces.size - 1) }
  end

  # A program in a terminal.
  class Program
    attr_reader :screen, :bytes, :pid

    # @param command [Array<String>]
    # @param rows [Integer]
    # @param columns [Integer]
    # @param env [Hash{String => String, nil}]
    def initialize(*command, rows: 24, columns: 80, env: {})
      @screen = Screen.new(rows, columns)
      @bytes = "".b
      @chunks = []
      @master, slave = PTY.open
      @master.winsize = [rows, columns]
      @pid = Process.spawn(env, *command, in: slave, out: slave, err: slave, pgroup: true)
      slave.close
    end

    # Reads until a block says so, or the program has ended.
    # @return [Screen]
    def read(limit = 60)
      give_up = now + limit
      until block_given? && yield(screen)
        raise "the program goes on:\n#{screen.lines.join("\n")}" if now > give_up

        tell
        feed(@master.readpartial(1 << 16)) if @master.wait_readable(0.05)
      end
      screen
    rescue Errno::EIO # The program has ended.
      screen
    end

    # Reads what a program has written that has stopped.
    # @return [Screen]
    def read_rest
      read { !@master.wait_readable(0.1) }
    end

    # @return [Boolean] whether the program has ended
    def ended?
      @wait ||= Process.wait2(@pid, Process::WNOHANG)&.last
      !@wait.nil?
    end

    # @return [Array<String>] what was read at a time
    attr_reader :chunks

    # Resizes the terminal while the program is stopped, so that all that it wrote before is on the screen.
    # @return [void]
    def resize(rows, columns)
      signal(:STOP)
      read_rest
      screen.resize(rows, columns)
      @master.winsize = [rows, columns]
    ensure
      signal(:CONT)
    end

    # Resizes the terminal, and tells the program only a moment later, as terminals do while an edge of their window is dragged.
    # @return [void]
    def drag(rows, columns, late)
      feed(@master.readpartial(1 << 16)) while @master.wait_readable(0)
      screen.resize(rows, columns)
      @late ||= [now + late]
      tell
    end

    # @param name [Symbol]
    # @return [void]
    def signal(name)
      Process.kill(name, -@pid)
    end

    # Waits until the program has stopped, as by Ctrl-Z.
    # @return [Boolean] false: it has ended
    def wait_for_stop
      _, status = Process.wait2(@pid, Process::WUNTRACED)
      @wait = status unless status.stopped?
      status.stopped?
    end

    # @param keys [String]
    # @return [void]
    def type(keys)
      @master.write(keys)
    end

    # @return [Process::Status]
    def wait
      read
      @wait ||= Process.wait2(@pid).last
    end

    # Ends the program, if it goes on.
    # @return [void]
    def close
      Process.kill(:KILL, -@pid) unless @wait
    rescue Errno::ESRCH
      nil
    ensure
      @master.close
      Process.wait(@pid) unless @wait
    end

    private

    def feed(chunk)
      @chunks << chunk
      @bytes << chunk
      screen.feed(chunk)
    end

    # Tells the program the size that the terminal has by now.
    def tell
      return if @late.nil? || now < @late.first

      @late = nil
      @master.winsize = [screen.rows, screen.columns]
    end

    def now
      Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
