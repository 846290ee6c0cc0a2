// Adds to a report what needs a script: the timeline, the sorted and filtered table, and the exports.
const run = JSON.parse(document.getElementById("run").textContent);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const COLOUR = { succeeded: "succeeded", failed: "failed", timed_out: "failed", running: "running", waiting: "waiting", cached: "reused", restored: "reused" };
let before = "";
let calls = 0;
let [start, ready] = [0, 0];
const steps = run.names.split("\n").map((line, at) => {
  before = before.slice(0, parseInt(line[0], 36)) + line.slice(1);
  const step = { at, name: before, state: run.statuses[run.status[at]], attempts: 0, more: run.more[run.more[at]] ?? run.more[at] ?? {} };
  if (run.called[at] === "1") {
    start += run.start[calls];
    ready += run.ready[calls];
    step.start = start * run.unit;
    step.duration = run.duration[calls] * run.unit;
    step.end = step.start + step.duration;
    step.ready = ready * run.unit;
    if (run.latest[calls] !== null) step.slack = (run.latest[calls] - start - run.duration[calls]) * run.unit;
    step.attempts = run.attempts[at] ?? 1;
    calls++;
  }
  return step;
}).filter((step) => step.state);
const critical = new Set(run.critical);
const caption = (name) => name.length > 80 ? `${name.slice(0, 80)}…` : name;
const word = (state) => state.replaceAll("_", " ");
const time = (ms) => ms === undefined || ms === null ? ""
  : ms >= 60000 ? `${Math.floor(ms / 60000)}m ${((ms % 60000) / 1000).toFixed(0).padStart(2, "0")}s`
  : ms < 1000 ? `${(ms / 1000).toFixed(3)}s` : `${(ms / 1000).toFixed(2)}s`;
const waited = (step) => step.start === undefined || step.start - step.ready < 1 ? undefined : step.start - step.ready;

// Makes an element. Text never becomes markup.
function make(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

// The calls of a step and the waits between them, each as [start, end, kind].
function segments(step) {
  const parts = [];
  let from = step.start;
  if (waited(step)) parts.push([step.ready, step.start, step.more.wait ? "held" : "queued"]);
  for (const [ended, wait] of step.more.retries ?? []) {
    parts.push([from, ended, "retried"], [ended, ended + wait, "retry"]);
    from = ended + wait;
  }
  if (step.end >= from) parts.push([from, step.end, step.state]);
  return parts;
}

const link = (at) => (run.address ? `${run.address}/steps/~${at}` : `#s${at}`);
const waits = (kind) => kind === "queued" || kind === "held" || kind === "retry";
const reason = (step) => step.more.wait ?? "worker";

// --- Table

const table = document.getElementById("steps");
const body = table.tBodies[0];
const COLUMNS = [(s) => s.name, (s) => run.statuses.indexOf(s.state), (s) => s.start, (s) => s.duration, waited, (s) => s.slack, (s) => s.attempts];
const view = { column: 1, down: false, text: "", state: "", most: 200 };

function row(step) {
  const { error, at, items, output, retries, log, reason: why = step.more.why } = step.more;
  const facts = [error, at && `line: ${at}`, why && `because: ${word(why)}`, waited(step) && `waited for: ${reason(step)}`, items && `items: ${items}`,
    output && `output: ${output}`, retries && `retried: ${retries.map(([, wait, why]) => `${why} (next attempt after ${time(wait)})`).join("\n")}`,
    log && `log:\n${log}`].filter(Boolean);
  const name = make("th", { scope: "row" }, run.address ? make("a", { href: link(step.at) }, caption(step.name)) : caption(step.name));
  if (facts.length) name.append(make("details", { open: !!error }, make("summary", {}, error ? "error" : "more"), make("pre", { tabindex: 0 }, facts.join("\n"))));
  const called = step.start !== undefined;
  const cells = [word(step.state), called ? time(step.start) : "", called ? time(step.duration) : "", time(waited(step)), time(step.slack), step.attempts || ""];
  return make("tr", { id: `s${step.at}`, class: step.state }, name, ...cells.map((text) => make("td", {}, `${text}`)));
}

function fill() {
  const text = view.text.toLowerCase();
  const key = COLUMNS[view.column];
  const shown = steps.filter((s) => (!view.state || s.state === view.state) && (!text || s.name.toLowerCase().includes(text) || s.more.error?.toLowerCase().includes(text)));
  const sign = view.down ? -1 : 1;
  shown.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === undefined || y === undefined || x === null || y === null) return (x ?? undefined) === (y ?? undefined) ? a.at - b.at : (x ?? undefined) === undefined ? 1 : -1;
    return (x < y ? -1 : x > y ? 1 : 0) * sign || a.at - b.at;
  });
  body.replaceChildren(...shown.slice(0, view.most).map(row));
  rest.replaceChildren(`${Math.min(view.most, shown.length)} of ${shown.length} steps`);
  if (shown.length > view.most) rest.append(" ", make("button", { onclick: () => { view.most += 1000; fill(); } }, "Show more"));
  [...table.tHead.rows[0].cells].forEach((cell, at) => {
    cell.setAttribute("aria-sort", at !== view.column ? "none" : view.down ? "descending" : "ascending");
    cell.firstChild.textContent = COLUMN_NAMES[at] + (at !== view.column ? "" : view.down ? " ▾" : " ▴");
  });
}

const COLUMN_NAMES = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
const rest = document.getElementById("rest") ?? make("p", { class: "quiet", id: "rest" });
rest.setAttribute("role", "status");
table.parentElement.after(rest);
[...table.tHead.rows[0].cells].forEach((cell, at) => {
  const sort = () => { view.down = view.column === at ? !view.down : at > 1; view.column = at; fill(); };
  cell.replaceChildren(make("button", { onclick: sort }, cell.textContent));
});
const states = run.statuses.filter((state) => steps.some((step) => step.state === state));
const choose = make("select", { "aria-label": "Status", onchange: () => { view.state = choose.value; fill(); } },
  make("option", { value: "" }, "every status"), ...states.map((state) => make("option", { value: state }, word(state))));
const search = make("input", { type: "search", placeholder: "Filter steps", "aria-label": "Filter steps", oninput: () => { view.text = search.value; fill(); } });
document.getElementById("filters").append(search, choose);
fill();

// Shows a step in the table, wherever it is.
function reveal(at) {
  if (!document.getElementById(`s${at}`)) {
    [view.text, view.state, view.most] = ["", "", Infinity];
    search.value = choose.value = "";
    fill();
  }
  const line = document.getElementById(`s${at}`);
  body.querySelector(".here")?.classList.remove("here");
  line.classList.add("here");
  line.querySelector("details")?.setAttribute("open", "");
  line.tabIndex = -1;
  line.focus({ preventScroll: true });
  line.scrollIntoView({ block: "center" });
}
document.addEventListener("click", (event) => {
  const at = event.target.closest?.('a[href^="#s"]')?.getAttribute("href").match(/^#s(\d+)$/)?.[1];
  if (at) { event.preventDefault(); reveal(+at); }
});

// The middle of a picture that is wider than the screen is seen first.
for (const box of document.querySelectorAll(".sheet .scroll")) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;

// --- Timeline

const section = document.getElementById("timeline");
let redraw = () => {};
if (section) {
  section.hidden = false;
  let called, lanes;
  const arrange = () => {
    called = steps.filter((step) => step.start !== undefined).sort((a, b) => a.start - b.start || a.at - b.at);
    lanes = lanesOf(called);
  };
  arrange();
  const zoom = { by: "step", from: 0, to: Math.max(run.length, 1) };
  const HEIGHT = 20;
  const box = section.querySelector(".chart");
  const canvas = make("canvas", { tabindex: 0, role: "img", "aria-label": `Timeline of ${called.length} steps. Plus and minus zoom, arrows move; the table has all times.` });
  const spacer = make("div");
  const under = document.getElementById("under");
  const workers = make("canvas", { role: "img", "aria-label": `Workers over time: at most ${lanes.length} steps at once` });
  section.querySelector(".workers").append(workers, key("running", "active"), " ", key("waiting", "waiting"), " ", key("rule", "idle"));
  box.append(canvas, spacer);
  const tools = section.querySelector(".tools");
  const byStep = make("button", { "aria-pressed": "true", onclick: () => group("step") }, "By step");
  const byWorker = make("button", { "aria-pressed": "false", onclick: () => group("worker") }, "By worker");
  tools.append(byStep, byWorker, make("button", { onclick: () => scale(0.5) }, "Zoom in"), make("button", { onclick: () => scale(2) }, "Zoom out"),
    make("button", { onclick: () => { [zoom.from, zoom.to] = [0, Math.max(run.length, 1)]; draw(); } }, "All"));
  const KEYS = [["succeeded", "called"], ["failed", "failed"], ["reused", "reused"], ["waiting", "waits for a retry"], ["none", "waits for a pool or a rate"], ["rule", "waits for a worker"], ["critical", "critical path"]];
  tools.append(...KEYS.map(([name, text]) => key(name, text)));
  let drawn = [];

  function key(name, text) {
    const legend = make("span", { class: "legend" }, text);
    legend.style.setProperty("--key", `var(--${name})`);
    return legend;
  }

  function group(by) {
    zoom.by = by;
    byStep.setAttribute("aria-pressed", by === "step");
    byWorker.setAttribute("aria-pressed", by === "worker");
    box.scrollTop = 0;
    draw();
  }

  function scale(factor, around = (zoom.from + zoom.to) / 2) {
    const length = Math.min(Math.max((zoom.to - zoom.from) * factor, 0.1), Math.max(run.length, 1));
    const share = (around - zoom.from) / (zoom.to - zoom.from);
    move(around - share * length, length);
  }

  function move(from, length) {
    zoom.from = Math.min(Math.max(from, 0), Math.max(run.length, 1) - length);
    zoom.to = zoom.from + length;
    draw();
  }

  function prepare(target, width, height) {
    const ratio = devicePixelRatio || 1;
    [target.width, target.height] = [width * ratio, height * ratio];
    target.style.width = `${width}px`;
    target.style.height = `${height}px`;
    const pen = target.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px ui-monospace, DejaVu Sans Mono, Menlo, monospace";
    pen.textBaseline = "middle";
    return pen;
  }

  function ticks(pen, left, width, height) {
    const span = zoom.to - zoom.from;
    const raw = span / Math.max(width / 110, 1);
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find((times) => times * unit >= raw) * unit;
    pen.fillStyle = css("quiet");
    pen.strokeStyle = css("rule");
    for (let at = Math.ceil(zoom.from / step) * step; at <= zoom.to; at += step) {
      const x = left + ((at - zoom.from) / span) * width;
      pen.beginPath(); pen.moveTo(x + 0.5, 18); pen.lineTo(x + 0.5, height); pen.stroke();
      const text = at >= 1000 || step >= 1000 ? `${+(at / 1000).toFixed(3)}s` : `${+at.toFixed(2)}ms`;
      if (x + pen.measureText(text).width < left + width) pen.fillText(text, x + 3, 10);
    }
  }

  function draw() {
    const rows = zoom.by === "step" ? called : lanes;
    const width = box.clientWidth;
    const height = Math.min(rows.length * HEIGHT + 24, box.clientHeight || 420);
    spacer.style.height = `${Math.max(rows.length * HEIGHT + 24 - height, 0)}px`;
    box.style.height = rows.length * HEIGHT + 24 < 420 ? `${height + 2}px` : "";
    const pen = prepare(canvas, width, height);
    const left = Math.min(zoom.by === "step" ? 200 : 84, width * 0.35);
    const room = width - left - 8;
    const x = (ms) => left + ((ms - zoom.from) / (zoom.to - zoom.from)) * room;
    ticks(pen, left, room, height);
    drawn = [];
    const first = Math.max(Math.floor(box.scrollTop / HEIGHT), 0);
    const colours = Object.fromEntries([...Object.values(COLOUR), "none", "rule", "critical", "text"].map((name) => [name, css(name)]));
    rows.slice(first, first + Math.ceil(height / HEIGHT) + 1).forEach((entry, index) => {
      const y = 24 + (first + index) * HEIGHT - box.scrollTop;
      if (y < 14) return;
      pen.fillStyle = colours.text;
      const label = zoom.by === "step" ? entry.name : `worker ${first + index + 1}`;
      let most = Math.floor((left - 16) / 7.3);
      const cut = () => (label.length > most ? `${label.slice(0, most - 1)}…` : label);
      while (most > 2 && pen.measureText(cut()).width > left - 16) most -= 1;
      pen.fillText(cut(), 8, y + HEIGHT / 2);
      let before = -1;
      const parts = zoom.by === "step" ? segments(entry).map(([from, to, kind]) => ({ step: entry, from, to, kind })) : entry;
      for (const { step, from, to, kind } of parts) {
        if (to < zoom.from || from > zoom.to) continue;
        const [start, end] = [Math.max(x(from), left), Math.min(Math.max(x(to), x(from) + 1.5), left + room)];
        if (end - before < 0.5) continue;
        before = end;
        const margin = waits(kind) ? 7 : 3;
        pen.fillStyle = kind === "queued" ? colours.rule : kind === "held" ? colours.none : kind === "retry" ? colours.waiting : kind === "retried" ? colours.failed : colours[COLOUR[kind]] ?? colours.none;
        pen.fillRect(start, y + margin, end - start, HEIGHT - 2 * margin);
        drawn.push([start, end, y, step]);
        if (critical.has(step.at) && !waits(kind)) {
          pen.fillStyle = colours.critical;
          pen.fillRect(start, y + HEIGHT - 3, end - start, 2);
        }
      }
    });
    drawWorkers(width, left, room, x);
  }

  function drawWorkers(width, left, room, x) {
    const height = 110;
    const pen = prepare(workers, width, height);
    const active = new Float64Array(Math.ceil(room) + 1);
    const waiting = new Float64Array(Math.ceil(room) + 1);
    // Each step adds its share of every column that it covers.
    const add = (list, from, to) => {
      const [start, end] = [Math.max(x(from) - left, 0), Math.min(x(to) - left, room)];
      for (let at = Math.floor(start); at < end; at++) list[at] += Math.min(end, at + 1) - Math.max(start, at);
    };
    for (const step of called) {
      for (const [from, to, kind] of segments(step)) add(waits(kind) ? waiting : active, from, to);
    }
    const most = Math.max(lanes.length, 1);
    // So many may wait that the workers could not be seen: the rest is cut off.
    const top = Math.min(Math.max(active.reduce((max, value, at) => Math.max(max, value + waiting[at]), 0), most), 3 * most);
    const scaleY = (height - 24) / top;
    for (let at = 0; at < room; at++) {
      const [busy, idle] = [active[at] * scaleY, Math.max(most - active[at], 0) * scaleY];
      const queued = Math.min(waiting[at] * scaleY, height - 18 - busy);
      pen.fillStyle = css0.panel; pen.fillRect(left + at, height - busy - idle, 1, idle);
      pen.fillStyle = css0.waiting; pen.fillRect(left + at, height - busy - queued, 1, queued);
      pen.fillStyle = css0.running; pen.fillRect(left + at, height - busy, 1, busy);
    }
    pen.fillStyle = css("quiet");
    pen.fillText(`${most} step${most === 1 ? "" : "s"} at once`, 8, height - most * scaleY + 6);
  }

  let css0 = {};
  const refresh = () => { css0 = { panel: css("rule"), waiting: css("waiting"), running: css("running") }; draw(); };
  const at = (event) => {
    const edge = canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - edge.left, event.clientY - edge.top];
    return drawn.findLast(([start, end, y]) => px >= start - 2 && px <= end + 2 && py >= y && py < y + HEIGHT)?.[3];
  };
  const describe = (step) => `${caption(step.name)}: ${word(step.state)}, from ${time(step.start)}, ${time(step.duration)}${waited(step) ? `, waited ${time(waited(step))} for ${reason(step)}` : ""}` +
    `${step.attempts > 1 ? `, ${step.attempts} attempts` : ""}${step.slack === undefined || step.slack === null ? "" : `, slack ${time(step.slack)}`}`;
  canvas.addEventListener("pointermove", (event) => {
    const step = at(event);
    canvas.style.cursor = step ? "pointer" : "";
    if (step) under.textContent = describe(step);
  });
  canvas.addEventListener("click", (event) => { const step = at(event); if (step) reveal(step.at); });
  canvas.addEventListener("keydown", (event) => {
    const length = zoom.to - zoom.from;
    const act = { "+": () => scale(0.5), "=": () => scale(0.5), "-": () => scale(2), ArrowLeft: () => move(zoom.from - length / 8, length), ArrowRight: () => move(zoom.from + length / 8, length),
      ArrowDown: () => { box.scrollTop += 3 * HEIGHT; }, ArrowUp: () => { box.scrollTop -= 3 * HEIGHT; } }[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const edge = canvas.getBoundingClientRect();
    const left = Math.min(zoom.by === "step" ? 200 : 84, edge.width * 0.35);
    scale(event.deltaY > 0 || event.deltaX > 0 ? 1.25 : 0.8, zoom.from + ((event.clientX - edge.left - left) / (edge.width - left - 8)) * (zoom.to - zoom.from));
  }, { passive: false });
  let frame;
  const later = () => { cancelAnimationFrame(frame); frame = requestAnimationFrame(draw); };
  box.addEventListener("scroll", later);
  addEventListener("resize", later);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", refresh);
  refresh();
  redraw = (before) => {
    if (zoom.to >= before) zoom.to = Math.max(run.length, 1);
    arrange();
    later();
  };
}

// Changes steps of a run that goes on: each is [position, status, start, duration, attempts, what few steps have]. Rows stay where they
// are, and details that are open stay open.
export function update(rows) {
  const before = Math.max(run.length, 1);
  for (const [at, status, start, duration, attempts, more] of rows) {
    const step = steps[at];
    Object.assign(step, { state: run.statuses[status], attempts, more });
    if (start !== null) {
      Object.assign(step, { start, duration: duration ?? 0, end: start + (duration ?? 0), ready: Math.min(step.ready ?? start, start) });
      run.length = Math.max(run.length, step.end);
    }
    for (const shape of document.querySelectorAll(`a.step[href$="${link(at)}"]`)) {
      shape.setAttribute("class", `step ${step.state}`);
      const note = shape.querySelector(".note");
      const mark = getComputedStyle(shape).getPropertyValue("--mark").replace(/["\s]/g, "");
      if (note) note.textContent = `${mark} ${time(step.duration)}`;
    }
    const old = document.getElementById(`s${at}`);
    if (!old) continue;
    const fresh = row(step);
    if (old.querySelector("details")?.open) fresh.querySelector("details")?.setAttribute("open", "");
    const focused = old.contains(document.activeElement) && document.activeElement.tagName;
    old.replaceWith(fresh);
    if (focused) fresh.querySelector(focused)?.focus({ preventScroll: true });
  }
  redraw(before);
}

// Workers, as few as could have made the calls when they were made. A step that waits for a retry occupies none.
function lanesOf(called) {
  const calls = called.flatMap((step) => segments(step).filter(([, , kind]) => !waits(kind)).map(([from, to, kind]) => ({ step, from, to, kind })));
  const lanes = [];
  for (const call of calls.sort((a, b) => a.from - b.from || a.step.at - b.step.at)) {
    const free = lanes.find((lane) => lane.at(-1).to <= call.from + 0.05);
    if (free) free.push(call); else lanes.push([call]);
  }
  return lanes;
}

// --- Exports

function save(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: `${run.run}${name}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function csv() {
  // A leading character that a spreadsheet would calculate with is quoted.
  const cell = (value) => `"${`${value ?? ""}`.replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;
  const rows = steps.map((s) => [s.name, s.state, s.start, s.start === undefined ? "" : s.duration, waited(s), s.slack, s.attempts, s.more.error]);
  return [["step", "status", "start_ms", "duration_ms", "waited_ms", "slack_ms", "attempts", "error"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}

function trace() {
  const events = lanesOf(steps.filter((step) => step.start !== undefined)).flatMap((lane, worker) => lane.map(({ step, from, to, kind }) => (
    { name: step.name, cat: kind, ph: "X", ts: from * 1000, dur: (to - from) * 1000, pid: 1, tid: worker + 1, args: { status: step.state, attempts: step.attempts } })));
  return JSON.stringify({ traceEvents: events, otherData: { run: run.run, pipeline: run.pipeline } });
}

function svg() {
  const shown = [...document.querySelectorAll(".sheet")].find((sheet) => sheet.offsetParent !== null)?.querySelector("svg").cloneNode(true);
  const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
  style.textContent = [...document.styleSheets[0].cssRules].map((rule) => rule.cssText).filter((text) => text.includes(".picture")).join("\n");
  shown.prepend(style);
  return new XMLSerializer().serializeToString(shown);
}

const exports = document.getElementById("exports");
if (document.querySelector(".sheet")) exports.append(make("button", { onclick: () => save(".svg", "image/svg+xml", svg()) }, "Graph as SVG"));
exports.append(make("button", { onclick: () => save(".csv", "text/csv", csv()) }, "Steps as CSV"), make("button", { onclick: () => save(".trace.json", "application/json", trace()) }, "Chrome trace"));
