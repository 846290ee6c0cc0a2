// Follows a run that goes on: parts of the page, rows of steps and lines of the log are sent as they change. Without a script the page
// shows the moment at which it was loaded.
const main = document.getElementById("main");
const report = document.getElementById("run") ? await import("./report.js") : null;
const { live, now } = main.dataset;
let cursor = main.dataset.cursor;
const LINES = 500;

// --- Times that go on

const skew = Date.now() / 1000 - now;
function count() {
  for (const element of document.querySelectorAll(".elapsed[data-since]")) {
    const time = Math.max(Date.now() / 1000 - skew - element.dataset.since, 0);
    element.textContent = time < 60 ? `${time.toFixed(0)}s` : `${Math.floor(time / 60)}m ${(time % 60).toFixed(0).padStart(2, "0")}s`;
  }
}

// --- Changes

// A part in which text is selected waits until it no longer is.
const waiting = new Map();
const selected = (element) => !getSelection().isCollapsed && getSelection().containsNode(element, true);

function show(id, html) {
  const element = document.getElementById(id);
  if (!element) return;
  if (selected(element)) { waiting.set(id, html); return; }
  const href = element.contains(document.activeElement) && document.activeElement.getAttribute("href");
  element.innerHTML = html; // Made and escaped by the server, as the page itself.
  if (href) [...element.querySelectorAll("a")].find((link) => link.getAttribute("href") === href)?.focus({ preventScroll: true });
}
document.addEventListener("selectionchange", () => {
  for (const [id, html] of [...waiting]) {
    if (selected(document.getElementById(id))) continue;
    waiting.delete(id);
    show(id, html);
  }
});

function append(lines) {
  const log = document.getElementById("log");
  if (!log || lines.length === 0) return;
  const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.insertAdjacentHTML("beforeend", lines.join(""));
  while (log.children.length > LINES) log.firstChild.remove();
  if (below) log.scrollTop = log.scrollHeight;
}

function apply(change) {
  if (change.cursor === undefined || change.cursor === cursor) return;
  cursor = change.cursor;
  for (const [id, html] of Object.entries(change.parts)) show(id, html);
  report?.update(change.rows);
  append(change.lines);
  count();
  if (change.over) end();
}

// --- Connection

let source, timer, ended;

function say(text) {
  const notice = document.getElementById("connection") ?? Object.assign(document.createElement("p"), { id: "connection" });
  notice.setAttribute("role", "status");
  notice.textContent = text;
  notice.hidden = !text;
  if (!notice.isConnected) main.prepend(notice);
}

// Everything that only a run that has ended has, such as its critical path, is on the page when it is loaded again: at once, unless
// somebody is reading.
function end() {
  ended = true;
  stop();
  const busy = document.activeElement !== document.body || !getSelection().isCollapsed || document.querySelector("#steps tr.here");
  if (!busy) { setTimeout(() => location.reload(), 1500); return; }
  say("The run has ended. ");
  document.getElementById("connection").append(Object.assign(document.createElement("a"), { href: location.pathname, textContent: "Show the whole page" }));
}

function stop() {
  source?.close();
  clearTimeout(timer);
}

// A stream that brings nothing at first is one that a proxy holds back.
function stream() {
  source = new EventSource(`${live}/events?after=${cursor}`);
  timer = setTimeout(poll, 5000);
  source.addEventListener("open", () => say(""));
  source.addEventListener("message", ({ data }) => { clearTimeout(timer); apply(JSON.parse(data)); });
  source.addEventListener("hello", () => clearTimeout(timer));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) poll(); else say("The connection was lost. Trying again …");
  });
}

async function poll() {
  source.close();
  let pause = 1000;
  try {
    const answer = await fetch(`${live}/live.json?after=${cursor}`);
    if (!answer.ok) throw new Error(answer.status);
    apply(await answer.json());
    say("");
  } catch {
    say("The connection was lost. Trying again …");
    pause = 5000;
  }
  if (!ended && !document.hidden) timer = setTimeout(poll, pause);
}

// Parts of a page that no stream brings are taken from the page itself, every few seconds while somebody sees it.
async function renew() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of main.dataset.fresh.split(" ")) {
      const html = fresh.getElementById(id)?.innerHTML;
      if (html !== undefined && html !== document.getElementById(id).innerHTML) show(id, html);
    }
    count();
  } catch { /* The next time perhaps. */ }
}

setInterval(count, 1000);
if (main.dataset.fresh) setInterval(renew, 3000);
if (live) {
  const log = document.getElementById("log");
  if (log) log.scrollTop = log.scrollHeight;
  if (!document.hidden) stream();
  // A browser has few connections to a host, and a page that nobody sees needs none.
  document.addEventListener("visibilitychange", () => {
    if (ended) return;
    stop();
    if (!document.hidden) stream();
  });
}
