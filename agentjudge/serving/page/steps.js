// The steps of a judgement, as their events come. What a step found is folded; what the verdict cites is marked in it.
import { count, el, plural, time } from "./words.js";
import { prose, seen } from "./show.js";

const PHASES = { plan: "Plans", act: "Thinks", conclude: "Concludes" };

export class Steps {
  // `say` is told each step in a few words, for those who do not see it.
  constructor(say = () => {}) {
    this.node = el("ol", { class: "talk-steps", "aria-label": "Steps" });
    this.calls = new Map();
    this.n = 0;
    this.say = say;
  }

  add(name, data) {
    const act = { turn_started: this.began, conclude: this.began, turn: this.turn, tool_call: this.call, tool_result: this.result, verdict: this.end, error: this.end }[name];
    act?.call(this, data);
  }

  entry(kind, who, cost, ...inside) {
    const node = el("li", { class: `said ${kind}` }, el("div", { class: "who" }, who, el("small", {}, cost)), ...inside);
    this.node.append(node);
    return node;
  }

  wait(who) {
    this.pending?.remove();
    this.pending = this.entry("waiting", who, "");
  }

  began({ phase = "conclude" }) {
    this.wait(PHASES[phase]);
  }

  turn({ phase, text, calls, tokens, seconds }) {
    this.pending?.remove();
    this.n += 1;
    const cost = [tokens.prompt ? `${count(tokens.prompt)} → ${plural(tokens.completion, "token")}` : "", time(seconds), { plan: "plan", conclude: "conclusion" }[phase] ?? ""];
    if (!text && calls.length) return;
    this.entry("assistant", "Judge", cost.filter(Boolean).join(" · "), said(text));
  }

  call({ call_id, name, args }) {
    const pairs = typeof args === "object" && args ? Object.entries(args) : [["", String(args)]];
    const written = pairs.map(([key, each], i) => [i ? "  " : "", key ? el("code", {}, `${key} `) : null, typeof each === "string" ? each : JSON.stringify(each)]);
    const took = el("span", { class: "took" }, "…"), call = el("div", { class: "call" }, el("header", {}, el("code", {}, name), el("span", { class: "args" }, written), took));
    this.entry("tool", "Looks", "", call);
    this.calls.set(call_id, { call, took });
    this.say(`${name}: ${pairs.map(([, each]) => (typeof each === "string" ? each : JSON.stringify(each))).join(", ").slice(0, 120)}`);
  }

  result(found) {
    if (!this.calls.has(found.call_id)) this.call(found);
    const { call, took } = this.calls.get(found.call_id), { evidence, images, status, error, seconds } = found;
    const sum = foundIn(found);
    took.replaceChildren(time(seconds));
    if (status !== "ok") call.append(el("div", { class: "failure red" }, `${status.replace("_", " ")}${error ? `: ${error}` : ""}`));
    const parts = [images.map((sha) => seen(sha, found.pictures[sha])), texts(evidence, found.sources), data(found)].flat(2).filter(Boolean);
    if (parts.length && images.length) call.append(el("div", { class: "result" }, parts));
    else if (parts.length) call.append(el("details", { class: "result" }, el("summary", {}, sum), parts));
    this.say(status === "ok" ? `found ${sum}` : `${found.name} failed`);
  }

  end() {
    this.pending?.remove();
    if (!this.node.children.length) this.node.append(el("li", { class: "soft" }, "No steps were taken."));
  }

  // Marks what the verdict cites where it was found.
  mark(evidence) {
    evidence.forEach(({ id }, n) => {
      for (const node of this.node.querySelectorAll("[data-ref]")) {
        if (node.dataset.ref !== id || node.querySelector("mark")) continue;
        node.replaceChildren(el("mark", {}, ...node.childNodes, el("span", { class: "no", "aria-label": `evidence ${n + 1}` }, n + 1)));
        const folded = node.closest("details");
        if (folded) folded.open = true;
      }
    });
  }
}

function said(text) {
  if (!text) return el("p", { class: "soft" }, "(no words)");
  if (/^\s*\{/.test(text)) try { return el("details", {}, el("summary", {}, "Writes its verdict"), el("pre", { class: "json", tabindex: 0 }, JSON.stringify(JSON.parse(text), null, 2))); } catch { /* not JSON after all */ }
  return prose(text);
}

// In words, how much a tool found.
function foundIn({ evidence, images, sources }) {
  const nouns = { text: "sentence", page: "page", region: "region", step: "step" };
  const kinds = Object.entries(nouns).map(([kind, noun]) => [evidence.filter((ref) => ref.kind === kind).length, noun]).filter(([n]) => n);
  const titles = [...new Set(evidence.filter((ref) => ref.doc).map((ref) => sources[ref.id]?.title || ref.doc))];
  const parts = [...kinds.map(([n, noun]) => plural(n, noun)), images.length && !kinds.some(([, noun]) => noun === "region") ? plural(images.length, "picture") : ""].filter(Boolean);
  return `${parts.join(", ") || "no evidence to cite"}${titles.length ? ` in ${titles.slice(0, 4).join(", ")}${titles.length > 4 ? ", …" : ""}` : ""}`;
}

// Quotes of one document stand together, under its title.
function texts(evidence, sources) {
  const groups = new Map();
  for (const ref of evidence.filter(({ quote }) => quote)) {
    const title = ref.kind === "step" ? `Step ${ref.step}` : sources[ref.id]?.title || ref.doc || ref.id;
    groups.set(title, [...(groups.get(title) ?? []), ref]);
  }
  return [...groups].map(([title, refs]) => el("div", { class: "found" }, el("b", {}, title), el("p", {}, refs.map((ref) => [el("span", { "data-ref": ref.id, title: ref.id }, ref.quote), " "]))));
}

function data({ data: found, evidence, images }) {
  if (evidence.some(({ quote }) => quote) || images.length || !found || !Object.keys(found).length) return null;
  return el("pre", { class: "json", tabindex: 0 }, JSON.stringify(found, null, 2).slice(0, 4000));
}
