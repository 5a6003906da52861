// How a case, a verdict and its evidence look. A record is that of docs/api.md.
import { byId, closeUp, count, decimals, el, outlines, percent, plural, time, tone } from "./words.js";
import { picture } from "./api.js";

const SHA = /^[0-9a-f]{64}$/;
const labelOf = ({ verdict, status }) => {
  if (!verdict || status !== "scored") return status;
  const { label, preference, ranking, score } = verdict;
  if (label) return label;
  if (preference !== null && preference !== undefined) return preference === 0 ? "tie" : preference < 0 ? "first" : "second";
  if (ranking) return `answer ${ranking[0] + 1}`;
  return score === null || score === undefined ? status : decimals(score);
};
export const outcome = labelOf;
export const pill = (text) => el("span", { class: `pill ${/^\d/.test(text) ? "blue" : tone(text)}` }, text);
export const textOf = (it) => it.claim ?? it.prompt ?? it.goal ?? it.id;
const titled = (name, text) => (text ? [el("h3", {}, name), prose(text)] : null);
const folded = (name, ...inside) => el("details", {}, el("summary", {}, name), ...inside);
const nameOf = (record, sha) => record.files?.[sha] || record.pictures[sha]?.name || sha.slice(0, 12);

export function prose(text) {
  const node = el("div", { class: "prose" }, text);
  if (text.length < 1500) return node;
  node.classList.add("clamped");
  const button = el("button", { type: "button", class: "link", onclick: () => { node.classList.remove("clamped"); button.remove(); } }, `Show all ${count(text.length)} characters`);
  return [node, button];
}

// --- pictures ---

// A picture with boxes (0-1000) drawn on it: dashed where a crop was cut out, numbered where evidence lies.
export function framed(sha, boxes = [], { dim = false, name = "picture" } = {}) {
  const image = el("img", { alt: boxes.length ? `${name}, with ${plural(boxes.length, "region")} outlined` : name });
  const frame = el("button", { type: "button", class: "framed", title: "Enlarge", onclick: () => enlarge(sha, boxes, name) }, image, outlines(boxes, dim));
  picture(sha).then((address) => { image.src = address; }, (problem) => frame.replaceWith(el("span", { class: "lost" }, `This picture cannot be shown: ${problem.message}`)));
  return frame;
}

function enlarge(sha, boxes, name) {
  const dialog = byId("zoom");
  if (dialog.open) return dialog.close();
  dialog.replaceChildren(framed(sha, boxes, { name }));
  return dialog.showModal();
}

// The region alone, as large as its pixels allow.
function close(sha, box) {
  const { canvas, image } = closeUp(box);
  picture(sha).then((address) => { image.src = address; }, () => canvas.remove());
  return el("figure", { class: "close" }, canvas, el("figcaption", {}, "The region, close up"));
}

const corners = (box) => `box ${box.map((side) => Math.round(side)).join(", ")} of 1000`;

// A picture that a tool showed; a crop beside its place in the source.
export function seen(sha, about) {
  if (!about?.parent || about.root === sha) return framed(sha, [], { name: about?.name || "picture shown to the judge" });
  return el("div", { class: "region" },
    el("figure", { class: "source" }, framed(about.root, [{ box: about.box_root }], { dim: true, name: "source of the crop" }), el("figcaption", {}, `Where it was cut out: ${corners(about.box_root)}`)),
    el("figure", { class: "close" }, framed(sha, [], { name: "crop" }), el("figcaption", {}, "The crop, as the judge saw it")));
}

// Boxes of the evidence that lies in a picture, or in a crop of it.
function boxesIn(sha, { verdict, pictures }) {
  return (verdict?.evidence ?? []).flatMap((ref, n) => (ref.kind !== "region" ? [] : ref.image === sha ? [{ box: ref.box, n }] : pictures[ref.image]?.root === sha ? [{ box: ref.box_root, n }] : []));
}

// --- the case ---

export function caseOf(record) {
  const it = record.case, asked = textOf(it);
  const answers = (texts, name, notes = []) => el("div", { class: "answers" }, texts.map((text, i) => el("div", { class: "answer" }, el("h3", {}, `${name} ${i + 1}`), prose(text), titled("Thought", notes[i]))));
  const step = (one, i) => el("li", { id: `step-${i}` },
    one.thought ? el("div", { class: "prose soft" }, one.thought) : null, el("code", {}, one.action || "–"), one.url ? el("div", { class: "soft id" }, one.url) : null,
    one.error ? el("div", { class: "mark-wrong" }, one.error) : null, one.observation ? folded("What it saw", prose(one.observation)) : null,
    one.screenshot && SHA.test(one.screenshot) ? framed(one.screenshot, boxesIn(one.screenshot, record), { name: `screenshot ${i}` }) : null);
  const document = (given) => {
    if (typeof given === "string") return el("li", { class: "id" }, nameOf(record, given));
    return el("li", {}, given.text ? folded(given.title || given.id, prose(given.text)) : given.title || given.id);
  };
  const steps = it.steps ?? it.history ?? [];
  return el("section", { class: "case", "aria-label": "Case" },
    el("h1", { class: `question${asked.length > 280 ? " long" : ""}`, tabindex: -1 }, asked),
    titled("Context", it.context), it.url ? el("p", { class: "soft id" }, it.url) : null, titled("Response", it.response), titled("Reference", it.reference),
    it.responses ? answers(it.responses, "Answer") : null, it.candidates ? answers(it.candidates, "Candidate", it.thoughts) : null,
    it.observation ? folded("The page", prose(it.observation)) : null,
    steps.length ? el("details", { open: steps.length <= 5 }, el("summary", {}, plural(steps.length, "step")), el("ol", { class: "steps", start: 0 }, steps.map(step))) : null,
    titled("Final answer", it.final_answer),
    it.images?.length ? el("div", { class: "thumbs" }, it.images.map((sha) => (SHA.test(sha) ? framed(sha, boxesIn(sha, record), { name: nameOf(record, sha) }) : null))) : null,
    it.documents?.length ? el("ul", { class: "given", "aria-label": "Documents given" }, it.documents.map(document)) : null);
}

// --- the verdict ---

export function verdictOf(record) {
  const { verdict, changed } = record, { confidence, failure, usage, provenance } = verdict;
  const chances = Object.entries(verdict.probabilities ?? {}).sort((a, b) => b[1] - a[1]);
  const bar = (value, kind) => el("div", { class: "bar", "aria-hidden": "true" }, el("i", { class: kind, style: { width: percent(value, 1) } }));
  const evidence = verdict.evidence ?? [], added = new Set((changed?.evidence.added ?? []).map((ref) => ref.id));
  const row = (name, value, kind, print) => [el("span", {}, name), bar(value, kind), el("span", { class: "soft" }, print(value))];
  const detail = [verdict.preference && `strength ${Math.abs(verdict.preference)} of 3`, verdict.ranking && `ranking ${verdict.ranking.map((i) => i + 1).join(" › ")}`].filter(Boolean).join(", ");
  return el("div", { class: "card" },
    changed ? changedOf(changed) : null,
    el("div", { class: "verdict-line" }, pill(labelOf(record)), detail ? el("span", { class: "soft" }, detail) : null,
      confidence ? el("div", { class: "meter" }, `${percent(confidence.value)} sure (${confidence.method})`, bar(confidence.value)) : null),
    failure ? el("div", { class: "failure violet" }, el("b", {}, `No verdict: ${failure.kind} failure.`), " ", el("span", { class: "prose" }, failure.message), el("p", {}, FAILURES[failure.kind])) : null,
    verdict.rationale ? el("p", { class: "reason" }, verdict.rationale) : null,
    chances.length > 1 ? el("div", { class: "chances" }, chances.map(([label, value]) => row(label, value, tone(label), percent))) : null,
    verdict.step_scores ? [el("h3", {}, "Steps"), el("div", { class: "chances" }, verdict.step_scores.map((value, i) => row(`step ${i}`, value, "blue", decimals)))] : null,
    verdict.criteria?.length ? [el("h3", {}, "Criteria"), el("table", {}, el("tbody", {}, verdict.criteria.map((each) =>
      el("tr", {}, el("th", { scope: "row" }, each.name), el("td", {}, each.label ? pill(each.label) : decimals(each.score ?? NaN)), el("td", {}, each.reason)))))] : null,
    evidence.length ? el("h3", {}, plural(evidence.length, "piece"), " of evidence") : null,
    evidence.map((ref, n) => proof(ref, n, record, added.has(ref.id))),
    el("div", { class: "cost" },
      el("span", {}, plural(usage.turns, "turn")), el("span", {}, plural(usage.tool_calls, "tool call")),
      el("span", {}, `${count(usage.prompt_tokens)} tokens read${usage.cached_tokens ? ` (${count(usage.cached_tokens)} from cache)` : ""}, ${count(usage.completion_tokens)} written`),
      usage.images ? el("span", {}, plural(usage.images, "picture")) : null, el("span", {}, time(usage.seconds)),
      usage.budget_exhausted ? el("span", { class: "mark-wrong" }, `stopped by the budget of ${usage.budget_exhausted}`) : null,
      el("span", {}, [provenance.judge, provenance.model_version || provenance.model, record.corpus && `corpus ${record.corpus}`].filter(Boolean).join(" · "))));
}

const FAILURES = {
  model: "The model behind the judge did not answer. Try again; if it stays so, tell the server's owner.",
  tool: "A tool of the judge failed. Try again, or choose another judge.",
  parse: "The model's words could not be read as a verdict. Try again, or choose another judge or model.",
  budget: "It took more than the server allows. Ask something smaller.",
  data: "Change the case as the message says, and ask anew.",
  config: "The server is set up in a way that does not fit this case: choose another judge, or tell its owner.",
  store: "The server could not read or keep a file. Send it again; if it stays so, tell the server's owner.",
  internal: "This is a fault of agentjudge. Try again, and report it if it stays so.",
};

function passage(before, quote, after) {
  const head = before.replace(/\s+/g, " "), tail = after.replace(/\s+/g, " ");
  return el("p", { class: "passage" }, before.length < 400 ? head : `… ${head.replace(/^\S*\s/, "")}`, el("mark", { tabindex: -1 }, quote), after.length < 400 ? tail : `${tail.replace(/\s\S*$/, "")} …`);
}

function proof(ref, n, record, fresh) {
  const source = record.sources[ref.id], about = record.pictures[ref.image], step = record.case.steps?.[ref.step];
  const title = { text: () => source?.title || ref.doc, page: () => ref.doc, region: () => "Picture", step: () => `Step ${ref.step}` }[ref.kind]();
  const place = [ref.id, ref.page && `page ${ref.page}`].filter(Boolean).join(" · ");
  const root = about?.root ?? ref.image, cut = about && about.root !== ref.image && corners(about.box_root) !== corners(ref.box_root) ? [{ box: about.box_root }] : [];
  return el("section", { class: "proof", tabindex: -1, "aria-label": `Evidence ${n + 1}` },
    el("header", {}, el("span", { class: "no" }, n + 1), el("b", {}, title), place === title ? null : el("span", { class: "id" }, place), fresh ? el("span", { class: "pill green" }, "new") : null),
    ref.quote ? passage(source?.before ?? "", ref.quote, source?.after ?? "") : null,
    step ? el("p", { class: "passage" }, el("code", {}, step.action), step.thought ? ` ${step.thought}` : "") : null,
    ref.kind === "region" ? el("div", { class: "region" }, el("figure", { class: "source" }, framed(root, [...cut, { box: ref.box_root, n }], { dim: true, name: "source picture" }),
      el("figcaption", {}, `${root === ref.image ? "The picture" : "The source picture; the judge looked at a crop of it"} · ${corners(ref.box_root)}`)), close(root, ref.box_root)) : null);
}

// --- what a challenge changed ---

const shown = (name, value) => {
  if (value === null || value === undefined) return el("span", { class: "soft" }, "none");
  if (name === "label" || name === "status") return pill(value);
  if (name === "confidence") return percent(value.value);
  return typeof value === "number" ? decimals(value) : JSON.stringify(value);
};

function changedOf({ fields, evidence: { added, dropped } }) {
  const rows = Object.entries(fields).filter(([name]) => name !== "status" || !fields.label).map(([name, { before, after }]) =>
    el("li", {}, el("span", { class: "soft" }, `${name.replace("_", " ")} `), shown(name, before), el("span", { role: "img", "aria-label": "became" }, " → "), shown(name, after)));
  const lost = dropped.length ? folded(`${plural(dropped.length, "piece")} of evidence dropped`, el("ul", { class: "steps" }, dropped.map((ref) => el("li", { class: "soft" }, ref.quote ? el("s", {}, ref.quote) : ref.id)))) : null;
  const nothing = !rows.length && !added.length && !dropped.length;
  return el("section", { class: "changed", "aria-label": "What changed" },
    el("h3", {}, nothing ? "Nothing changed" : "What changed"),
    nothing ? null : el("ul", { class: "fields" }, rows, added.length ? el("li", {}, `${plural(added.length, "piece")} of evidence added`) : null), lost);
}
