"use strict";
// One run, or two side by side. The list holds the rows on the screen alone; a trace is unpacked when it is opened.

const ROW = 60; // pixels, as .row in the style
const SIDES = ["A", "B"];
const NARROW = "(max-width: 860px)";
const narrow = () => matchMedia(NARROW).matches;

// --- data ---

let head, two;
const chunks = new Map();

async function bytesOf(id, address) {
  const block = byId(id);
  if (block) return Uint8Array.from(atob(block.textContent), (letter) => letter.charCodeAt(0));
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`the server has no ${address}; load the page again`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function unpack(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function traceOf(run, row) {
  const at = row.runs[run].at, number = Math.floor(at / head.chunk), key = `chunk-${run}-${number}`;
  if (!chunks.has(key)) chunks.set(key, bytesOf(key, `chunk/${run}/${number}`).then(unpack).then((text) => text.split("\n")));
  let lines;
  try {
    lines = await chunks.get(key);
  } catch (problem) {
    chunks.delete(key);
    throw problem;
  }
  const trace = JSON.parse(lines[at % head.chunk] ?? "{}");
  if (trace.case?.id !== row.id) throw new Error("the run has changed since this page was made; load it again");
  return trace;
}

const picture = (sha) => {
  const [type] = head.pictures[sha] ?? [];
  if (type === undefined) return { lost: "This picture is not kept in the run folder." };
  if (!type) return { lost: "This picture is of a kind that browsers do not show." };
  if (head.served) return { address: `picture/${sha}` };
  const block = byId(`picture-${sha}`);
  if (!block) return { lost: `Left out: this file holds at most ${megabytes(head.omitted.bytes)} of pictures. agentjudge view shows it.` };
  return { address: `data:${type};base64,${block.textContent}` };
};

function original(sha) {
  const met = new Set();
  while (head.pictures[sha]?.[1] && head.pictures[head.pictures[sha][1]] && !met.has(sha)) {
    met.add(sha);
    sha = head.pictures[sha][1];
  }
  return sha;
}

// --- words ---

const short = (n) => (n < 10000 ? count(n) : n < 1e6 ? `${(n / 1e3).toFixed(n < 1e5 ? 1 : 0)}k` : `${(n / 1e6).toFixed(1)}M`);
const word = (cell) => (!cell ? "" : cell.status !== "scored" ? cell.status : cell.outcome ?? decimals(cell.score));
const pill = (cell) => (cell ? el("span", { class: `pill ${cell.outcome || cell.status !== "scored" ? tone(word(cell)) : "blue"}`, title: word(cell) }, word(cell)) : el("span", { class: "soft" }, "–"));
const badge = (side) => el("span", { class: `side ${side ? "b" : ""}`, "aria-label": `run ${SIDES[side]}` }, SIDES[side]);
const tick = (right) => (right === undefined ? null : right === 1 ? el("span", { class: "mark-right", title: "right" }, "✓") : el("span", { class: "mark-wrong", title: right ? `right by ${right}` : "wrong" }, right ? "≈" : "✗"));

// --- summary ---

function stat(name, value, note, wide) {
  return el("dl", { class: `stat${wide ? " wide" : ""}` }, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, ` ${note}`) : null));
}

function shares(name, parts) {
  const whole = parts.reduce((sum, [, n]) => sum + n, 0);
  if (!whole) return stat(name, "–", "", true);
  const bar = el("div", { class: "bar", "aria-hidden": "true" }, parts.map(([key, n]) => (n ? el("i", { class: tone(key), style: { "flex-grow": n } }) : null)));
  const legend = parts.map(([key, n]) => el("span", { class: tone(key) }, el("b", {}, count(n)), ` ${key}`));
  return el("div", { class: "stat wide" }, el("div", { class: "label" }, name), bar, el("div", { class: "legend" }, legend));
}

function summary() {
  const whole = (name) => head.runs.reduce((sum, run) => sum + (run.outcomes[name] ?? 0), 0);
  document.title = `${head.runs.map((run) => run.name).join(" and ")} – agentjudge`;
  const some = (name) => head.runs.some((run) => run[name]);
  const mean = (name, key, found, print, of) => (some(key) ? (found ? stat(name, print(found.mean), of(found.n)) : stat(name, "–")) : null);
  const parts = head.runs.map((run, side) => {
    const tokens = run.prompt_tokens + run.completion_tokens;
    const outcomes = Object.entries(run.outcomes).sort((a, b) => whole(b[0]) - whole(a[0]));
    const most = outcomes.slice(0, 6), rest = outcomes.slice(6).reduce((sum, [, n]) => sum + n, 0);
    return el("section", { class: "run" },
      el("div", { class: "name" },
        el("h1", {}, two ? badge(side) : null, run.name),
        el("p", { class: "soft" }, `${run.judge || "no judge"} with ${run.model || "no model"}`),
        el("details", {}, el("summary", {}, `Settings${run.made ? ` · ${run.made.slice(0, 16).replace("T", " ")}` : ""}`), el("pre", { tabindex: "0" }, JSON.stringify(run.config, null, 2)))),
      shares(plural(run.n, "judgement"), Object.entries(run.statuses)),
      head.runs.some((each) => Object.keys(each.outcomes).length) ? shares("Outcomes", rest ? [...most, ["others", rest]] : most) : null,
      mean("Right", "right", run.right, (value) => percent(value, 1), (n) => `of ${count(n)} scored`),
      mean("Mean score", "score", run.score, decimals, (n) => `of ${count(n)}`),
      mean("Mean confidence", "confidence", run.confidence, decimals, (n) => `of ${count(n)}`),
      stat("Tool calls", short(run.tool_calls)),
      tokens ? stat("Tokens", short(tokens), `${short(run.completion_tokens)} written`) : stat("Tokens", "0"),
      stat("Time", time(run.seconds), `median ${time(run.median_seconds)}`));
  });
  const found = head.comparison;
  if (found) {
    const sure = found.right;
    parts.push(el("p", { class: "together" },
      el("b", {}, found.common ? percent(found.same / found.common, 1) : "–"), ` the same: ${count(found.same)} of ${plural(found.common, "common case")}`,
      found.kappa === undefined ? null : ` · κ ${found.kappa === null ? "undefined" : decimals(found.kappa)}`,
      sure ? ` · both right ${count(sure.both)}, only A ${count(sure.only_first)}, only B ${count(sure.only_second)}, neither ${count(sure.neither)} (McNemar p ${sure.p < 0.001 ? "< 0.001" : `= ${sure.p.toFixed(3)}`})` : null));
  }
  if (head.omitted.pictures) parts.push(el("p", { class: "warn" }, `${plural(head.omitted.pictures, "picture")} left out of this file, which holds at most ${megabytes(head.omitted.bytes)} of them; agentjudge view shows all.`));
  byId("summary").replaceChildren(...parts);
  byId("summary").style.setProperty("--stats", document.querySelectorAll(".run:first-child > .stat").length);
}

// --- filters and order ---

const chosen = new Map(); // group -> Set of names
const ranges = []; // {get, low, high, from, to}
let shown = [], order = { key: "order", down: false }, picked = -1, query = [];

const cells = (row) => row.runs.filter(Boolean);
const GROUPS = [
  ["status", (row) => cells(row).map((cell) => cell.status)],
  ["label", (row) => cells(row).map((cell) => cell.outcome).filter(Boolean)],
  ["gold", (row) => cells(row).filter((cell) => cell.right !== undefined).map((cell) => (cell.right === 1 ? "right" : "wrong"))],
  ["runs", (row) => (!two ? [] : row.runs[0] && row.runs[1] ? [row.same ? "same" : "different"] : [`only ${SIDES[row.runs[0] ? 0 : 1]}`])],
];

function chips() {
  const groups = GROUPS.map(([group, names]) => {
    const found = new Map();
    for (const row of head.rows) for (const name of new Set(names(row))) found.set(name, (found.get(name) ?? 0) + 1);
    if (found.size < 2 && group !== "gold") return null;
    const sorted = [...found].sort((a, b) => (group === "label" ? b[1] - a[1] : 0)).slice(0, 14);
    const about = two && group !== "runs" ? `${group}, in either run` : group;
    return el("div", { class: "chips", role: "group", "aria-label": `Filter by ${about}`, title: `By ${about}` }, sorted.map(([name, n]) =>
      el("button", { class: `chip ${tone(name)}`, "aria-pressed": "false", onclick: (event) => toggle(event.currentTarget, group, name) }, name, el("small", {}, count(n)))));
  });
  byId("chips").replaceChildren(...groups.filter(Boolean));
}

function toggle(button, group, name) {
  const names = chosen.get(group) ?? new Set();
  if (!names.delete(name)) names.add(name);
  chosen.set(group, names);
  button.setAttribute("aria-pressed", String(names.has(name)));
  refresh();
}

function range(name, get, print) {
  const values = head.rows.flatMap((row) => cells(row).map(get)).filter((value) => value !== undefined);
  const least = values.reduce((a, b) => Math.min(a, b), Infinity), most = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (!(least < most)) return null;
  const BINS = 40, bins = new Array(BINS).fill(0);
  const bin = (value) => Math.min(BINS - 1, Math.floor((BINS * (value - least)) / (most - least)));
  for (const value of values) bins[bin(value)] += 1;
  const top = Math.max(...bins), edge = (place) => least + ((most - least) * place) / BINS;
  const bars = bins.map((n) => el("i", { class: "in", style: { height: `${n ? Math.max(6, (100 * n) / top) : 0}%` } }));
  const output = el("output");
  const state = { get, from: least, to: most, all: true, reset };
  const ends = ["lowest", "highest"].map((end, i) => el("input", { type: "range", min: 0, max: BINS, value: i * BINS, "aria-label": `${end} ${name}`, oninput: update }));
  function update() {
    const [low, high] = ends.map((input) => Number(input.value));
    if (low > high) [ends[0].value, ends[1].value] = [high, low];
    const [from, to] = ends.map((input) => Number(input.value));
    Object.assign(state, { from: from ? edge(from) : least, to: to === BINS ? most : edge(to), all: from === 0 && to === BINS });
    bars.forEach((bar, i) => bar.classList.toggle("in", i >= from && i < to));
    ends.forEach((input, i) => input.setAttribute("aria-valuetext", print(i ? state.to : state.from)));
    output.textContent = `${print(state.from)} – ${print(state.to)}`;
    refresh();
  }
  function reset() {
    [ends[0].value, ends[1].value] = [0, BINS];
    update();
  }
  output.textContent = `${print(least)} – ${print(most)}`;
  ranges.push(state);
  return el("fieldset", { class: "range" }, el("legend", {}, name, output), el("div", { class: "hist", "aria-hidden": "true" }, bars), el("div", { class: "ends" }, ends));
}

function passes(row) {
  for (const [group, names] of GROUPS) {
    const wanted = chosen.get(group);
    if (wanted?.size && !names(row).some((name) => wanted.has(name))) return false;
  }
  for (const { get, from, to, all } of ranges) if (!all && !cells(row).some((cell) => get(cell) >= from && get(cell) <= to)) return false;
  if (!query.length) return true;
  row.words ??= [row.id, row.text, ...cells(row).flatMap((cell) => [word(cell), cell.why])].join("\n").toLowerCase();
  return query.every((part) => row.words.includes(part));
}

let columns = [];
function tableColumns() {
  const has = (name) => head.rows.some((row) => cells(row).some((cell) => cell[name] !== undefined && cell[name] !== 0));
  const number = (key, name, print, width, run = 0) => ({ key: `${key}${run}`, name, width, number: true, value: (row) => row.runs[run]?.[key] ?? -1, draw: (row) => (row.runs[run]?.[key] === undefined ? "" : print(row.runs[run][key])) });
  const outcome = (run, name, width) => ({ key: `outcome${run}`, name, width, value: (row) => word(row.runs[run]), draw: (row) => el("div", { class: "outcome" }, pill(row.runs[run]), tick(row.runs[run]?.right)) });
  columns = [{ key: "order", name: "Case", width: "minmax(0, 1fr)", value: (row) => row.order, draw: (row) => el("span", { class: "below id" }, row.id) }];
  if (two) {
    const differs = (row) => (row.same === false ? el("span", { class: "differs", title: "the runs differ" }, "≠") : "");
    columns.push(outcome(0, "A", "7.2rem"), outcome(1, "B", "7.2rem"), { key: "same", name: "≠", width: "1rem", value: (row) => Number(row.same ?? 0.5), draw: differs });
  } else {
    columns.push(outcome(0, "Outcome", "9.2rem"));
    if (has("confidence")) columns.push(number("confidence", "Conf.", decimals, "2.6rem"));
    if (!narrow() && has("score") && head.rows.some((row) => cells(row).some((cell) => cell.outcome))) columns.push(number("score", "Score", decimals, "2.6rem"));
    if (!narrow() && has("tokens")) columns.push(number("tokens", "Tokens", short, "3.1rem"));
    columns.push(number("seconds", "Time", time, "3.6rem"));
  }
  byId("grid").style.setProperty("--columns", columns.map((column) => column.width).join(" "));
  byId("grid").setAttribute("aria-colcount", columns.length);
}

function drawColumns() {
  byId("columns").replaceChildren(...columns.map(({ key, name, number }) =>
    el("div", { role: "columnheader", class: number && "number", "aria-sort": order.key === key ? (order.down ? "descending" : "ascending") : "none" },
      el("button", { title: `Sort by ${name}`, onclick: () => sortBy(key) }, name))));
}

function sortBy(key) {
  order = { key, down: order.key === key ? !order.down : false };
  drawColumns();
  refresh();
}

function refresh() {
  const row = shown[picked], { value } = columns.find((column) => column.key === order.key);
  shown = head.rows.filter(passes);
  const sign = order.down ? -1 : 1;
  shown.sort((a, b) => { const [x, y] = [value(a), value(b)]; return x < y ? -sign : x > y ? sign : a.order - b.order; });
  picked = shown.indexOf(row);
  const all = shown.length === head.rows.length;
  byId("count").textContent = all ? plural(shown.length, "judgement") : `${count(shown.length)} of ${plural(head.rows.length, "judgement")}`;
  byId("clear").hidden = !query.length && ![...chosen.values()].some((names) => names.size) && ranges.every(({ all }) => all);
  byId("none").hidden = shown.length > 0;
  byId("rows").style.height = `${shown.length * ROW}px`;
  byId("grid").setAttribute("aria-rowcount", shown.length + 1);
  if (picked >= 0) reveal(picked);
  drawRows();
  place();
}

function clear() {
  chosen.clear();
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "false");
  byId("search").value = "";
  query = [];
  for (const { reset } of ranges) reset();
  refresh();
}

// --- list ---

function drawRows() {
  const grid = byId("grid"), first = Math.max(0, Math.floor(grid.scrollTop / ROW) - 4);
  const last = Math.min(shown.length, Math.ceil((grid.scrollTop + grid.clientHeight) / ROW) + 4);
  const rows = [];
  for (let i = first; i < last; i += 1) {
    const row = shown[i];
    rows.push(el("div", { class: "row", id: `row-${i}`, role: "row", "aria-rowindex": i + 2, "aria-selected": String(i === picked), style: { top: `${i * ROW}px` }, onclick: () => pick(i, { open: true }) },
      columns.map((column, n) => el("div", { role: "gridcell", class: n ? (column.number ? "number" : "") : "first" }, n ? null : el("span", { class: "text" }, row.text || row.id), column.draw(row)))));
  }
  byId("rows").replaceChildren(...rows);
  if (picked >= first && picked < last) grid.setAttribute("aria-activedescendant", `row-${picked}`);
  else grid.removeAttribute("aria-activedescendant");
}

function reveal(i) {
  const grid = byId("grid"), above = byId("columns").offsetHeight, top = i * ROW;
  if (top < grid.scrollTop) grid.scrollTop = top;
  else if (top + ROW + above > grid.scrollTop + grid.clientHeight) grid.scrollTop = top + ROW + above - grid.clientHeight;
}

function pick(i, { open = false, remember = true } = {}) {
  if (!shown.length) return;
  picked = Math.max(0, Math.min(shown.length - 1, i));
  reveal(picked);
  drawRows();
  if (narrow() && !open) return;
  const address = `#${encodeURIComponent(shown[picked].id)}`;
  if (remember) history[narrow() && document.body.dataset.pane === "list" ? "pushState" : "replaceState"](null, "", address);
  if (open) document.body.dataset.pane = "detail";
  show(shown[picked]);
}

const leave = () => {
  document.body.dataset.pane = "list";
  drawRows();
  if (picked >= 0) reveal(picked);
  byId("grid").focus();
};

// --- keys and start ---

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input"), inList = !byId("detail").contains(event.target), search = byId("search");
  const acts = {
    j: () => pick(picked + 1, { open: document.body.dataset.pane === "detail" }), k: () => pick(picked < 0 ? 0 : picked - 1, { open: document.body.dataset.pane === "detail" }),
    n: () => nextEvidence(1), N: () => nextEvidence(-1), "/": () => { if (narrow()) document.body.dataset.pane = "list"; search.focus(); search.select(); }, "?": () => byId("keys").showModal(),
  };
  if (inList) Object.assign(acts, { ArrowDown: acts.j, ArrowUp: acts.k, Home: () => pick(0), End: () => pick(shown.length - 1), PageDown: () => pick(picked + 10), PageUp: () => pick(picked - 10) });
  if (inList && !event.target.closest("button, summary, a")) acts.Enter = () => { if (picked >= 0) { pick(picked, { open: true }); byId("detail").focus(); } };
  if (event.key === "Escape" && !(typing && search.value)) { event.preventDefault(); leave(); }
  else if (typing && event.target.type !== "search") return;
  else if (typing && !["ArrowDown", "Enter"].includes(event.key)) return;
  else if (acts[event.key]) { event.preventDefault(); acts[event.key](); if (typing) byId("grid").focus(); }
}

function fromAddress() {
  const id = decodeURIComponent(location.hash.slice(1)), at = shown.findIndex((row) => row.id === id);
  if (at >= 0) pick(at, { open: true, remember: false });
  else { document.body.dataset.pane = "list"; if (!narrow()) pick(0, { remember: false }); else drawRows(); }
}

async function start() {
  head = JSON.parse(await unpack(await bytesOf("head")));
  two = head.runs.length === 2;
  document.body.dataset.runs = head.runs.length;
  head.rows.forEach((row, i) => { row.order = i; });
  summary();
  tableColumns();
  drawColumns();
  chips();
  const made = [range("Score", (cell) => cell.score, decimals), range("Confidence", (cell) => cell.confidence, decimals), range("Time", (cell) => cell.seconds, time)].filter(Boolean);
  byId("ranges").querySelector("div").append(...made);
  byId("ranges").hidden = !made.length;
  const search = byId("search"), grid = byId("grid");
  search.addEventListener("input", () => { query = search.value.toLowerCase().split(/\s+/).filter(Boolean); refresh(); });
  byId("clear").addEventListener("click", clear);
  grid.addEventListener("scroll", () => requestAnimationFrame(drawRows), { passive: true });
  new ResizeObserver(drawRows).observe(grid);
  document.addEventListener("keydown", keys);
  addEventListener("popstate", fromAddress);
  matchMedia(NARROW).addEventListener("change", () => { order = { key: "order", down: false }; tableColumns(); drawColumns(); refresh(); });
  refresh();
  fromAddress();
  requestAnimationFrame(() => { document.documentElement.dataset.ready = Math.round(performance.now()); });
}

start().catch((problem) => byId("detail").replaceChildren(el("p", { class: "notice" }, `This page cannot be read: ${problem.message}`)));
