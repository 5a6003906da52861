"use strict";
// One judgement: its case, its verdict, its evidence where it stands, and its conversation.

// --- where evidence stands ---

const parts = (message) => (typeof message.content === "string" ? [{ text: message.content }] : (message.content ?? []).map((part) => (part.image ? { image: part.image } : { text: part.text ?? JSON.stringify(part) })));
const bare = (text) => text.replaceAll("&lt;", "<").replace(/[\s[\]]+/g, "");
const byPoint = (text, point) => [...text].slice(0, point).join("").length; // Python counts characters, JavaScript units

// A sentence is shown as a line `[[id]] sentence`, flattened and with its double brackets set apart.
function lineOf(text, { id, quote }) {
  for (let at = id ? text.indexOf(`[[${id}]] `) : -1; at >= 0; at = text.indexOf(`[[${id}]] `, at + 1)) {
    const start = at + id.length + 5, end = text.indexOf("\n", start) < 0 ? text.length : text.indexOf("\n", start);
    const line = text.slice(start, end).replace(/ \[\.\.\.\]$/, "");
    if (bare(line) === bare(quote)) return { start, end: start + line.length };
  }
  return null;
}

function literal(text, { quote }) {
  const start = text.indexOf(quote);
  return start < 0 ? null : { start, end: start + quote.length };
}

// Marks by message and part, and the first place of each piece of evidence: by its id, or else by its words.
function locate({ messages, verdict }) {
  const marks = new Map(), places = [];
  const tries = [lineOf, literal].flatMap((find) => ["tool", "user", "assistant"].map((role) => [find, role]));
  (verdict.evidence ?? []).forEach((ref, n) => {
    for (const [find, role] of ref.quote ? tries : []) {
      messages.forEach((message, m) => {
        if (message.role !== role) return;
        parts(message).forEach(({ text }, p) => {
          const found = text && find(text, ref), key = `${m}.${p}`;
          if (!found) return;
          marks.set(key, [...(marks.get(key) ?? []), { ...found, n }]);
          places[n] ??= { text, ...found };
        });
      });
      if (places[n]) return;
    }
  });
  return { marks, places };
}

// `text` as nodes: evidence marked and numbered, ids quiet, and what stands between fences as a block of its own.
function rich(text, marks = [], anchor = "") {
  const nodes = [], sorted = [...marks].sort((a, b) => a.start - b.start);
  let from = 0;
  for (const found of text.matchAll(FENCED)) {
    const start = found.index + found[0].indexOf(">\n") + 2, end = start + found[3].length, after = found.index + found[0].length;
    nodes.push(line(text, from, found.index, sorted, anchor, /\n+$/));
    nodes.push(el("div", { class: "fenced", title: "Material to judge, fenced for the model" }, el("div", { class: "label" }, found[2]), line(text, start, end, sorted, anchor)));
    from = text[after] === "\n" ? after + 1 : after;
  }
  nodes.push(line(text, from, text.length, sorted, anchor));
  return nodes;
}

const FENCED = /<untrusted-([0-9a-f]+) what="([^"\n]*)">\n([^]*?)\n<\/untrusted-\1>/g;

function line(text, from, stop, marks, anchor, trim) {
  const nodes = [];
  const quiet = (piece) => {
    let at = 0;
    for (const found of piece.matchAll(/\[\[[^\]\n]{1,120}\]\]|^# .+$/gm)) {
      nodes.push(piece.slice(at, found.index), found[0][0] === "#" ? el("b", {}, found[0].slice(2)) : el("span", { class: "cite" }, found[0].slice(2, -2)));
      at = found.index + found[0].length;
    }
    nodes.push(piece.slice(at));
  };
  for (const { start, end, n } of marks) {
    if (end <= from || start >= stop) continue;
    quiet(text.slice(from, Math.max(from, start)));
    nodes.push(el("mark", { "data-evidence": anchor + n }, text.slice(Math.max(from, start), Math.min(end, stop)), el("span", { class: "no", "aria-label": `evidence ${n + 1}` }, n + 1)));
    from = Math.min(end, stop);
  }
  const rest = text.slice(from, stop);
  quiet(trim ? rest.replace(trim, "") : rest);
  return nodes;
}

function clamped(node, length) {
  if (length < 1500 || node.querySelector("mark")) return node;
  node.classList.add("clamped");
  const button = el("button", { class: "link", onclick: () => { node.classList.remove("clamped"); button.remove(); } }, `Show all ${count(length)} characters`);
  return [node, button];
}

const prose = (text, marks, anchor) => clamped(el("div", { class: "prose" }, rich(text, marks, anchor)), text.length);

// The paragraph of `text` around a mark, without its ids.
function passage({ text, start, end }) {
  const before = text.slice(0, start), after = text.slice(end);
  const top = Math.max(...["\n\n", ">\n"].map((gap) => before.lastIndexOf(gap)).map((at) => (at < 0 ? 0 : at + 2)), before.lastIndexOf("\n", start - 500));
  const stop = Math.min(...[after.indexOf("\n\n"), after.indexOf("\n", 350)].map((at) => (at < 0 ? text.length : end + at)));
  const clean = (piece) => piece.replace(/^(#.*|<\/?untrusted-.*>?)$/gm, "").replace(/\[\[[^\]\n]{1,120}\]\] ?/g, "").replace(/\s*\n\s*/g, " ");
  const cut = (piece, keep) => (piece.length <= keep ? piece : null);
  const head = clean(text.slice(top, start)), tail = clean(text.slice(end, stop));
  return el("p", { class: "passage" }, cut(head, 420) ?? `… ${head.slice(-400).replace(/^\S*\s/, "")}`, el("mark", {}, text.slice(start, end)), cut(tail, 420) ?? `${tail.slice(0, 400).replace(/\s\S*$/, "")} …`);
}

function title({ text, start }) {
  const line = text.slice(0, start).split("\n\n").at(-1).split("\n").find((each) => each.startsWith("# "));
  return line ? line.slice(2) : null;
}

// --- pictures ---

const SHA = /^[0-9a-f]{64}$/; // a picture of the store; a case that failed early names files instead

function framed(sha, boxes = [], { dim = false, name = "picture" } = {}) {
  const { address, lost } = picture(sha);
  if (lost) return el("p", { class: "lost" }, lost, " ", el("span", { class: "id" }, sha.slice(0, 12)));
  const image = el("img", { src: address, alt: boxes.length ? `${name}, with ${plural(boxes.length, "region")} outlined` : name, loading: "lazy" });
  return el("button", { class: "framed", title: "Enlarge", onclick: () => enlarge(sha, boxes) }, image, outlines(boxes, dim));
}

function enlarge(sha, boxes) {
  const dialog = byId("zoom");
  if (dialog.open) return dialog.close();
  dialog.replaceChildren(framed(sha, boxes));
  dialog.showModal();
}

// The region alone, as large as its pixels allow.
function close(sha, box) {
  const { address, lost } = picture(sha);
  if (lost) return null;
  const { canvas, image } = closeUp(box);
  image.src = address;
  return el("figure", { class: "close" }, canvas, el("figcaption", {}, "The region, close up"));
}

// Where the crops that tools made lie in their originals.
const cutsOf = ({ events }) => new Map(events.flatMap((event) => Object.entries(event.cuts ?? {}).filter(([sha]) => original(sha) !== sha)));

// A picture shown to the judge; a crop beside its place in the original.
function seen(sha, cuts, evidence) {
  const shown = framed(sha, boxesIn(sha, evidence), { name: "picture shown to the judge" });
  if (!cuts.has(sha)) return shown;
  return el("div", { class: "region" },
    el("figure", { class: "source" }, framed(original(sha), [{ box: cuts.get(sha) }], { dim: true, name: "source of the crop" }), el("figcaption", {}, `Where it was cut out: ${corners(cuts.get(sha))}`)),
    el("figure", { class: "close" }, shown, el("figcaption", {}, "The crop, as the judge saw it")));
}

const corners = (box) => `box ${box.map((side) => Math.round(side)).join(", ")} of 1000`;

// Boxes of the evidence that lies in a picture, or in a crop of it.
function boxesIn(sha, evidence) {
  return evidence.flatMap((ref, n) => (ref.kind !== "region" ? [] : ref.image === sha ? [{ box: ref.box, n }] : original(ref.image) === sha ? [{ box: ref.box_root, n }] : []));
}

// --- one judgement ---

let opening = 0;
async function show(row) {
  const mine = (opening += 1);
  const found = await Promise.all(row.runs.map((cell, run) => (cell ? traceOf(run, row).catch((problem) => ({ problem })) : null)));
  if (mine !== opening) return;
  const whole = found.find((trace) => trace && !trace.problem);
  const detail = byId("detail"), sides = el("div", { class: `sides${two ? " two" : ""}`, "data-show": "0" });
  sides.append(...found.map((trace, run) => side(trace, row, run)));
  const tabs = two ? el("div", { class: "switch", role: "group", "aria-label": "Run" }, SIDES.map((name, run) =>
    el("button", { class: "chip blue", "aria-pressed": String(run === 0), onclick: (event) => {
      sides.dataset.show = run;
      for (const other of event.currentTarget.parentNode.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    } }, `${name} `, pill(row.runs[run])))) : null;
  detail.replaceChildren(path(row), ...(whole ? [caseOf(whole, row)] : []), ...(tabs ? [tabs] : []), sides);
  detail.scrollTop = 0;
  if (narrow()) scrollTo(0, 0);
}

function path(row) {
  return el("div", { class: "path" },
    el("button", { class: "button", id: "back", onclick: () => history.back() }, "‹ List"),
    el("span", { class: "id" }, row.id), el("span", {}, row.kind.replace("_", " ")),
    row.same === false ? el("span", { class: "differs" }, "≠ the runs differ") : null,
    el("span", { class: "moves" }, el("span", { id: "place" }, placeText()),
      el("button", { class: "button", "aria-label": "previous judgement", title: "k", onclick: () => pick(picked - 1, { open: true }) }, "↑"),
      el("button", { class: "button", "aria-label": "next judgement", title: "j", onclick: () => pick(picked + 1, { open: true }) }, "↓")));
}

const placeText = () => (picked < 0 ? "not in the list" : `${count(picked + 1)} of ${count(shown.length)}`);
const place = () => byId("place")?.replaceChildren(placeText());

const folded = (name, ...inside) => el("details", {}, el("summary", {}, name), ...inside);
const titled = (name, text) => (text ? [el("h3", {}, name), prose(text)] : null);

function caseOf({ case: it, verdict }, row) {
  const evidence = verdict.evidence ?? [], asked = it.claim ?? it.prompt ?? it.goal ?? "";
  const best = row.runs.length === 1 && verdict.status === "scored" ? verdict.ranking?.[0] ?? (verdict.preference ? Number(verdict.preference > 0) : -1) : -1;
  const answers = (texts, name, notes = []) => el("div", { class: "answers" }, texts.map((text, i) => el("div", { class: `answer${i === best ? " best" : ""}` }, el("h3", {}, `${name} ${i + 1}${i === best ? " · preferred" : ""}`), prose(text), titled("Thought", notes[i]))));
  const step = (one, i) => el("li", { id: `step-${i}` },
    one.thought ? el("div", { class: "prose soft" }, one.thought) : null, el("code", {}, one.action || "–"), one.url ? el("div", { class: "soft id" }, one.url) : null,
    one.error ? el("div", { class: "mark-wrong" }, one.error) : null, one.observation ? folded("What it saw", prose(one.observation)) : null,
    one.screenshot ? (SHA.test(one.screenshot) ? framed(one.screenshot, boxesIn(one.screenshot, evidence), { name: `screenshot ${i + 1}` }) : el("p", { class: "soft id" }, one.screenshot)) : null);
  const document = (text) => typeof text === "string" ? el("p", { class: "soft id" }, text) : folded(text.title || text.id, el("div", { class: "prose" },
    rich(text.text, two ? [] : evidence.flatMap((ref, n) => (ref.doc === text.id && ref.kind === "text" ? [{ start: byPoint(text.text, ref.start), end: byPoint(text.text, ref.end), n }] : [])), "0-")));
  const steps = it.steps ?? it.history ?? [];
  return el("section", { class: "case", "aria-label": "Case" },
    el("h2", { class: `question${asked.length > 280 ? " long" : ""}` }, asked || row.id),
    titled("Context", it.context), it.url ? el("p", { class: "soft id" }, it.url) : null, titled("Response", it.response), titled("Reference", it.reference),
    it.responses ? answers(it.responses, "Answer") : null, it.candidates ? answers(it.candidates, "Candidate", it.thoughts) : null,
    it.observation ? folded("The page", prose(it.observation)) : null,
    it.criteria?.length ? [el("h3", {}, "Criteria"), el("ul", { class: "steps" }, it.criteria.map((each) => el("li", {}, each)))] : null,
    steps.length ? el("details", { open: steps.length <= 5 }, el("summary", {}, plural(steps.length, "step")), el("ol", { class: "steps", start: 0 }, steps.map(step))) : null,
    titled("Final answer", it.final_answer),
    it.documents?.length ? [el("h3", {}, "Documents given"), it.documents.map(document)] : null,
    it.images?.length ? el("div", { class: "thumbs" }, it.images.map((sha, i) => (SHA.test(sha) ? framed(sha, two ? [] : boxesIn(sha, evidence), { name: `picture ${i + 1} of the case` }) : el("p", { class: "soft id" }, sha)))) : null);
}

function side(trace, row, run) {
  const name = two ? el("h2", {}, badge(run), head.runs[run].name) : null;
  if (!trace) return el("section", {}, name, el("p", { class: "card soft" }, "This run has no verdict on this case."));
  if (trace.problem) return el("section", {}, name, el("p", { class: "card" }, `Cannot show this judgement: ${trace.problem.message}.`));
  const { marks, places } = locate(trace), cuts = cutsOf(trace), anchor = `${run}-`;
  return el("section", { "aria-label": two ? `Run ${SIDES[run]}` : "Verdict" }, name, verdictOf(trace, row, run, places, cuts, anchor), conversation(trace, marks, cuts, anchor));
}

function verdictOf({ verdict, case: it }, row, run, places, cuts, anchor) {
  const { confidence, failure, usage, provenance } = verdict, cell = row.runs[run];
  const chances = Object.entries(verdict.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  const bar = (value, kind) => el("div", { class: "bar", "aria-hidden": "true" }, el("i", { class: kind, style: { width: percent(value, 1) } }));
  const gold = row.gold ?? {}, golden = gold.label ?? gold.score ?? (gold.preference !== undefined ? ["first", "tie", "second"][Math.sign(gold.preference) + 1] : gold.ranking ? `answer ${gold.ranking[0] + 1}` : undefined);
  const detail = [verdict.preference !== undefined && `strength ${verdict.preference}`, verdict.ranking && `ranking ${verdict.ranking.map((i) => i + 1).join(" › ")}`].filter(Boolean).join(", ");
  const evidence = verdict.evidence ?? [], groups = gold.evidence ?? [];
  return el("div", { class: "card" },
    el("div", { class: "verdict-line" }, pill(cell), detail ? el("span", { class: "soft" }, detail) : null,
      golden === undefined ? null : el("span", { class: "gold" }, tick(cell.right), cell.right === 1 ? " as in gold" : ` gold: ${typeof golden === "number" ? decimals(golden) : golden}`),
      confidence ? el("div", { class: "meter" }, `${percent(confidence.value, 1)} sure, ${confidence.method}`, bar(confidence.value)) : null),
    failure ? el("div", { class: "failure violet" }, el("b", {}, `${failure.kind} failure`), failure.retriable ? " (may pass when tried again)" : "", el("div", { class: "prose" }, failure.message)) : null,
    verdict.rationale ? el("p", { class: "reason" }, verdict.rationale) : null,
    chances.length > 1 ? el("div", { class: "chances" }, chances.map(([label, value]) => [el("span", {}, label), bar(value, tone(label)), el("span", { class: "soft" }, percent(value, 1))])) : null,
    verdict.step_scores ? [el("h3", {}, "Steps"), el("div", { class: "chances" }, verdict.step_scores.map((value, i) => [el("span", {}, `step ${i + 1}`), bar(value, "blue"), el("span", { class: "soft" }, decimals(value))]))] : null,
    verdict.criteria?.length ? [el("h3", {}, "Criteria"), el("table", {}, el("tbody", {}, verdict.criteria.map((each) =>
      el("tr", {}, el("th", { scope: "row" }, each.name), el("td", {}, each.label ? el("span", { class: `pill ${tone(each.label)}` }, each.label) : decimals(each.score ?? NaN)), el("td", {}, each.reason)))))] : null,
    evidence.length ? el("h3", {}, plural(evidence.length, "piece"), " of evidence") : null,
    evidence.map((ref, n) => proof(ref, n, places[n], it, cuts, anchor, groups.some((group) => group.includes(ref.id)))),
    groups.length && !evidence.some((ref) => groups.some((group) => group.includes(ref.id))) ? el("p", { class: "soft cost" }, `Evidence in gold: ${groups.map((group) => group.join(" + ")).join(", or ")}`) : null,
    el("div", { class: "cost" }, el("span", {}, plural(usage.turns, "turn")), el("span", {}, plural(usage.tool_calls, "tool call")),
      usage.prompt_tokens + usage.completion_tokens ? el("span", {}, `${count(usage.prompt_tokens)} tokens read${usage.cached_tokens ? ` (${count(usage.cached_tokens)} from cache)` : ""}, ${count(usage.completion_tokens)} written`) : null,
      usage.images ? el("span", {}, plural(usage.images, "picture")) : null, el("span", {}, time(usage.seconds)),
      usage.budget_exhausted ? el("span", { class: "mark-wrong" }, `stopped by the budget of ${usage.budget_exhausted}`) : null,
      el("span", {}, [provenance.judge, provenance.model_version || provenance.model, provenance.seed === undefined ? "" : `seed ${provenance.seed}`].filter(Boolean).join(" · "))));
}

function proof(ref, n, place, it, cuts, anchor, golden) {
  const given = (it.documents ?? []).find((text) => text.id === ref.doc);
  place ??= given && ref.quote ? { text: given.text, start: byPoint(given.text, ref.start), end: byPoint(given.text, ref.end) } : undefined;
  const name = { text: () => (place && title(place)) || given?.title || ref.doc, page: () => ref.doc, region: () => "Picture", step: () => `Step ${ref.step}` }[ref.kind]();
  const about = [ref.id, ref.page && `page ${ref.page}`, ref.kind === "text" && `characters ${count(ref.start)}–${count(ref.end)}`].filter(Boolean);
  const root = ref.kind === "region" && original(ref.image), box = ref.kind === "region" && (root !== ref.image || !head.pictures[ref.image]?.[1] ? ref.box_root : ref.box);
  const there = it.steps?.[ref.step], cut = corners(cuts.get(ref.image) ?? []) === corners(box || []) ? null : cuts.get(ref.image);
  return el("section", { class: "proof", "aria-label": `Evidence ${n + 1}` },
    el("header", {}, el("span", { class: "no" }, n + 1), el("b", {}, name), el("span", { class: "id" }, about.join(" · ")), golden ? el("span", { class: "mark-right" }, "✓ in gold") : null,
      ref.quote && place ? el("button", { class: "link", onclick: () => jump(`${anchor}${n}`) }, "In the conversation ↓") : null),
    ref.quote ? (place ? passage(place) : el("p", { class: "passage" }, el("mark", {}, ref.quote))) : null,
    ref.kind === "step" && there ? el("p", { class: "passage" }, el("code", {}, there.action), there.thought ? ` ${there.thought}` : "") : null,
    root ? el("div", { class: "region" }, el("figure", { class: "source" }, framed(root, [...(cut ? [{ box: cut }] : []), { box, n }], { dim: true, name: "source picture" }),
      el("figcaption", {}, `${root === ref.image ? "The picture" : "The source picture; the judge looked at a crop of it"} · ${corners(box)}`)), close(root, box)) : null);
}

function jump(evidence) {
  const marks = [...byId("detail").querySelectorAll("mark[data-evidence]")];
  const target = marks.find((mark) => mark.dataset.evidence === evidence && mark.closest(".talk")) ?? marks.find((mark) => mark.dataset.evidence === evidence);
  light(target);
}

function light(mark) {
  if (!mark) return;
  for (const other of document.querySelectorAll("mark.lit")) other.classList.remove("lit");
  for (let up = mark.parentElement; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  mark.classList.add("lit");
  mark.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function nextEvidence(step) {
  const marks = [...byId("detail").querySelectorAll(".talk mark[data-evidence]")].filter((mark) => mark.offsetParent);
  if (marks.length) light(marks[(marks.findIndex((mark) => mark.classList.contains("lit")) + step + marks.length + (step < 0 && !marks.some((mark) => mark.classList.contains("lit")) ? 1 : 0)) % marks.length]);
}

// --- conversation ---

function conversation(trace, marks, cuts, anchor) {
  const { messages, turns, events, verdict } = trace, evidence = verdict.evidence ?? [];
  const answered = new Map(turns.map((turn, t) => [turn.message_out, { ...turn, t }]));
  const body = (m) => parts(messages[m]).map((part, p) => (part.image ? seen(part.image, cuts, evidence) : part.text ? said(part.text, marks.get(`${m}.${p}`), anchor) : null));
  const used = new Set(), nodes = [];
  for (let m = 0; m < messages.length; m += 1) {
    if (used.has(m)) continue;
    const { role } = messages[m], turn = answered.get(m);
    if (role === "system") {
      nodes.push(entry(role, "Instructions", "", el("details", {}, el("summary", {}, `${count(parts(messages[m]).reduce((sum, { text }) => sum + (text?.length ?? 0), 0))} characters`), body(m))));
    } else if (role === "assistant" || turn) {
      const cost = turn ? [`${turn.usage.prompt_tokens ? `${count(turn.usage.prompt_tokens)} → ` : ""}${turn.usage.completion_tokens ? plural(turn.usage.completion_tokens, "token") : ""}`, time(turn.seconds), {plan: "plan", conclude: "conclusion"}[turn.phase], !["stop", "tool_calls"].includes(turn.finish_reason) && `ended by ${turn.finish_reason}`] : [];
      nodes.push(entry("assistant", "Judge", cost.filter(Boolean).join(" · "), messages[m].reasoning_content ? folded("Thinking", prose(messages[m].reasoning_content)) : null, body(m), calls(m, turn?.t)));
    } else nodes.push(entry(role, role === "tool" ? "Tool" : "To the judge", "", body(m)));
  }
  function calls(m, t) {
    const asked = messages[m].tool_calls ?? [], left = events.filter((event) => event.turn === t);
    const pairs = asked.map((call) => {
      const at = left.findIndex((event) => event.call_id === call.id);
      return [call, at < 0 ? null : left.splice(at, 1)[0]];
    });
    return [...pairs, ...left.map((event) => [null, event])].map(([call, event]) => {
      let result = -1;
      for (let i = m + 1; i < messages.length && !answered.has(i); i += 1) if (!used.has(i) && messages[i].role === "tool" && messages[i].tool_call_id === (call?.id ?? event?.call_id)) { result = i; break; }
      if (result >= 0) used.add(result);
      return callOf(call, event, result < 0 ? null : body(result));
    });
  }
  if (!nodes.length) return null;
  return el("section", { class: "talk", "aria-label": "Conversation" },
    el("h3", {}, "Conversation", el("small", {}, `${plural(messages.length, "message")}, ${plural(turns.length, "turn")}, ${plural(events.length, "tool call")}`)), nodes);
}

const entry = (role, name, cost, ...inside) => el("div", { class: `said ${role}` }, el("div", { class: "who" }, name, el("small", {}, cost)), ...inside);

function said(text, marks, anchor) {
  if (/^\s*\{/.test(text)) try { return clamped(el("div", { class: "json" }, JSON.stringify(JSON.parse(text), null, 2)), text.length); } catch { /* not JSON after all */ }
  return prose(text, marks, anchor);
}

function callOf(call, event, result) {
  let args = event?.args;
  try { args ??= JSON.parse(call.function.arguments); } catch { args = { "": String(call?.function?.arguments ?? "") }; }
  const status = event ? event.status.replace("_", " ") : "not run";
  const value = (each) => (typeof each === "string" ? each : JSON.stringify(each));
  return el("div", { class: "call" },
    el("header", {}, el("code", {}, event?.name ?? call?.function?.name ?? "tool"),
      el("span", { class: "args" }, Object.entries(args && typeof args === "object" ? args : { "": args }).map(([name, each], i) => [i ? "  " : "", name ? el("code", {}, `${name} `) : null, value(each)])),
      status === "ok" ? null : el("span", { class: "pill red" }, status),
      el("span", { class: "took" }, [event?.shown && `${plural(event.shown, "passage")}`, event && time(event.seconds)].filter(Boolean).join(" · "))),
    event?.error ? el("div", { class: "failure red" }, event.error) : null,
    result ? el("div", { class: "result" }, result) : null);
}
