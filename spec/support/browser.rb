# frozen_string_literal: true

# A headless Chromium that opens files, for specs of what a reader of a page sees. Needs the Debian packages chromium,
# chromium-driver and ruby-selenium-webdriver; examples are skipped without them.
module Browser
  DRIVER = %w[/usr/bin/chromedriver /usr/lib/chromium/chromedriver].find { |path| File.executable?(path) }
  BINARY = %w[/usr/bin/chromium /usr/bin/chromium-browser /usr/bin/google-chrome].find { |path| File.executable?(path) }
  # Where axe-core may be; bin/setup installs it.
  AXE = [ENV["FLOWLINE_AXE"], File.expand_path("../../node_modules/axe-core/axe.min.js", __dir__)].compact.find { |path| File.file?(path) }
  # Times in a browser may be this many times as long as promised, since other programs run as well.
  PATIENCE = 4
  # Rectangles of text that overlap other text, in any picture that is shown.
  OVERLAPS = <<~JS
    const found = [];
    for (const svg of document.querySelectorAll("svg.picture")) {
      const texts = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
      texts.sort((a, b) => a[1].left - b[1].left);
      texts.forEach(([text, a], i) => {
        for (let j = i + 1; j < texts.length && texts[j][1].left < a.right - 0.5; j++) {
          const b = texts[j][1];
          if (b.top < a.bottom - 4 && a.top < b.bottom - 4) found.push(text + " / " + texts[j][0]);
        }
      });
      for (const step of svg.querySelectorAll(".step")) {
        const box = [...step.querySelectorAll("rect")].at(-1).getBoundingClientRect();
        for (const text of step.querySelectorAll("text")) {
          const r = text.getBoundingClientRect();
          if (r.width > 0 && (r.left < box.left || r.right > box.right)) found.push(text.textContent + " leaves its box");
        }
      }
    }
    return found;
  JS

  module_function

  # @return [String, nil] what is missing
  def missing
    return "chromium" unless DRIVER && BINARY

    require "selenium-webdriver"
    nil
  rescue LoadError
    "ruby-selenium-webdriver"
  end

  # Opens an empty tab of a browser without cookies. The browser is started for the first example of a group that needs one with
  # these arguments, because that takes seconds, and ends with the group or with an example that fails.
  # @param width [Integer] of the window, in pixels
  # @param dark [Boolean] whether the reader prefers dark colours
  # @param script [Boolean] whether scripts are allowed
  # @param arguments [Array<String>] further ones of Chromium
  # @yieldparam browser [Selenium::WebDriver::Driver]
  def open(width: 1280, height: 900, dark: false, script: true, arguments: [])
    browser = browsers[[script, arguments]] ||= start(script, arguments)
    result = nil
    browser.switch_to.new_window(:tab) do
      emulate(browser, width, height, dark)
      %i[browser performance].each { |log| browser.logs.get(log) }
      result = yield browser
      browser.execute_cdp("Network.clearBrowserCookies")
    end
    result
  rescue Exception # rubocop:disable Lint/RescueException -- an expectation that is not met is no StandardError
    browsers.delete([script, arguments])&.quit
    raise
  end

  # Ends all browsers.
  # @return [void]
  def quit
    browsers.each_value(&:quit).clear
  end

  def browsers
    @browsers ||= {}
  end

  def start(script, arguments)
    options = Selenium::WebDriver::Chrome::Options.new(binary: BINARY)
    (%w[--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars] + arguments).each { |argument| options.add_argument(argument) }
    options.add_option("goog:loggingPrefs", { browser: "ALL", performance: "ALL" })
    options.add_preference("profile.managed_default_content_settings.javascript", 2) unless script
    Selenium::WebDriver.for(:chrome, options: options, service: Selenium::WebDriver::Service.chrome(path: DRIVER))
  end

  # @return [Array<Array(String, Array<String>)>] the rules of axe-core that the page breaks, and the elements that do
  def violations(browser)
    browser.execute_script(File.read(AXE))
    found = browser.execute_async_script("const done = arguments[0]; axe.run().then(done);")
    raise "axe-core has checked nothing" if found["passes"].size <= 10

    found["violations"].map { |violation| [violation["id"], violation["nodes"].map { |node| node["html"] }] }
  end

  # @return [Array<String>] what the page has written to the console
  def console(browser)
    browser.logs.get(:browser).map(&:message)
  end

  # @return [Array<String>] the URLs that were requested since the last call
  def requests(browser)
    events = browser.logs.get(:performance).map { |entry| JSON.parse(entry.message)["message"] }
    events.select { |event| event["method"] == "Network.requestWillBeSent" }.map { |event| event.dig("params", "request", "url") }
  end

  def emulate(browser, width, height, dark)
    browser.execute_cdp("Emulation.setDeviceMetricsOverride", width: width, height: height, deviceScaleFactor: 1, mobile: width < 600)
    browser.execute_cdp("Page.bringToFront")
    browser.execute_cdp("Emulation.setFocusEmulationEnabled", enabled: true)
    browser.execute_cdp("Emulation.setEmulatedMedia", features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }])
  end
end

RSpec.configure do |config|
  config.after(:context) { Browser.quit if self.class.superclass == RSpec::Core::ExampleGroup }

  config.before(:each, :browser) do
    missing = Browser.missing
    # Everything is installed on CI where there is a package of it.
    raise "#{missing} is missing" if missing && ENV["CI"] && File.exist?("/usr/bin/apt-get")

    skip "needs #{missing}" if missing
  end

  config.before(:each, :axe) do
    next if Browser::AXE
    raise "axe-core is missing: run bin/setup" if ENV["CI"] && ENV["PATH"].split(":").any? { |folder| File.executable?("#{folder}/npm") }

    skip "needs axe-core: run bin/setup"
  end
end
