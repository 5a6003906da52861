// Files that go with a claim or a challenge: dropped, pasted, picked, or written down as a text; and cases in JSON.
import { count, el, megabytes, plural } from "./words.js";
import { Problem } from "./api.js";

const IMAGES = /\.(png|jpe?g|webp|gif)$/i, DOCUMENTS = /\.(pdf|txt|text|md|markdown|html?|csv|jsonl|ndjson)$/i, CASES = /\.(json|jsonl|ndjson)$/i;
const TELLING = ["claim", "response", "responses", "candidates", "steps"];
const KINDS = { claim: "Claim", response: "Answer", comparison: "Comparison", action_choice: "Choice of an action", trajectory: "Run of an agent" };
const MOST_JSON = 64e6; // bytes of a file that is read here

// The case that a file holds, and of how many it is the first; null where it holds none.
async function caseIn(file) {
  if (!CASES.test(file.name) || file.size > MOST_JSON) return null;
  const text = await file.text();
  let found;
  try { found = JSON.parse(text); } catch {
    try { found = text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line)); } catch { return null; }
  }
  const all = [found].flat(), first = all[0];
  if (typeof first !== "object" || first === null || !(first.kind in KINDS || TELLING.some((field) => field in first))) return null;
  return { case: first, of: all.length };
}

const kindOf = (it) => it.kind ?? { claim: "claim", response: "response", responses: "comparison", candidates: "action_choice", steps: "trajectory" }[TELLING.find((field) => field in it)];
const TYPES = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif", pdf: "application/pdf", md: "text/markdown", html: "text/html", htm: "text/html", csv: "text/csv", jsonl: "application/jsonl" };
const typeOf = (name) => TYPES[name.split(".").at(-1).toLowerCase()] ?? "text/plain"; // browsers do not know all of them
const base = (path) => path.split(/[\\/]/).at(-1);

export class Attached {
  // `changed` is called whenever something is added or taken away; `cases` says whether a case in JSON may come.
  constructor({ changed = () => {}, cases = false, id, what = "Add files" }) {
    Object.assign(this, { changed, cases, files: [], found: null, texts: 0 });
    this.list = el("ul", { class: "files", "aria-label": "Attached" });
    this.problem = el("p", { class: "small mark-wrong", role: "alert" });
    this.input = el("input", { id, type: "file", multiple: true, class: "unseen", onchange: () => { this.add(this.input.files); this.input.value = ""; } });
    this.area = el("textarea", { rows: 4, "aria-label": "Text to add as evidence", placeholder: "Paste what a document says." });
    this.writing = el("div", { class: "writing", hidden: true }, this.area, el("button", { type: "button", class: "button", onclick: () => this.write() }, "Add this text"));
    const text = el("button", { type: "button", class: "button", "aria-expanded": "false", onclick: () => { this.writing.hidden = !this.writing.hidden; text.setAttribute("aria-expanded", String(!this.writing.hidden)); if (!this.writing.hidden) this.area.focus(); } }, "Add a text");
    this.node = el("div", { class: "attached" }, this.list, this.problem,
      el("div", { class: "row-of" }, this.input, el("label", { class: "button", for: id }, what), text, el("span", { class: "soft small" }, cases ? "or drop them: pictures, PDF, texts, a run of an agent as JSON" : "or drop them here")), this.writing);
  }

  write() {
    const text = this.area.value.trim();
    if (!text) return this.area.focus();
    this.texts += 1;
    this.area.value = "";
    this.writing.hidden = true;
    return this.add([new File([text], `text ${"abcdefghijklmnopqrstuvwxyz"[(this.texts - 1) % 26]}.txt`, { type: "text/plain" })]);
  }

  async add(files) {
    const refused = [];
    for (const file of [...files]) {
      const found = this.cases ? await caseIn(file) : null;
      if (found) this.found = { ...found, name: file.name };
      else if (IMAGES.test(file.name) || DOCUMENTS.test(file.name)) this.files.push(file);
      else if (CASES.test(file.name)) refused.push(`${file.name} holds no case: an object with one of ${TELLING.join(", ")}`);
      else refused.push(`${file.name || "this"} is of a kind that no judge reads: take PNG, JPEG, WebP, GIF, PDF, TXT, MD, HTML, CSV or JSON`);
    }
    this.problem.textContent = refused.join("; ");
    this.draw();
  }

  clear() {
    [this.files, this.found, this.problem.textContent] = [[], null, ""];
    this.draw();
  }

  draw() {
    for (const address of this.shown ?? []) URL.revokeObjectURL(address);
    this.shown = [];
    const away = (what, act) => el("button", { type: "button", class: "link away", "aria-label": `Take away ${what}`, onclick: () => { act(); this.draw(); } }, "×");
    const thumb = (file) => {
      if (!IMAGES.test(file.name)) return el("span", { class: "icon", "aria-hidden": "true" }, file.name.split(".").at(-1).slice(0, 4));
      const address = URL.createObjectURL(file);
      this.shown.push(address);
      return el("img", { src: address, alt: "" });
    };
    const it = this.found?.case;
    this.list.replaceChildren(
      ...(it ? [el("li", { class: "case-file" }, el("span", {}, el("b", {}, KINDS[kindOf(it)] ?? "Case"), ` ${it.goal ?? it.claim ?? it.prompt ?? ""}`),
        el("span", { class: "soft" }, [this.found.name, it.steps && plural(it.steps.length, "step"), this.found.of > 1 && `the first of ${count(this.found.of)} cases`].filter(Boolean).join(" · ")), away(this.found.name, () => { this.found = null; }))] : []),
      ...this.files.map((file) => el("li", {}, thumb(file), el("span", {}, file.name), el("span", { class: "soft" }, file.size < 1e5 ? `${count(file.size)} bytes` : megabytes(file.size)), away(file.name, () => { this.files = this.files.filter((each) => each !== file); }))));
    this.changed();
  }

  get kind() { return this.found ? kindOf(this.found.case) : "claim"; }

  get size() { return this.files.length + (this.found ? 1 : 0); }

  // What is to be sent: the case, with the pictures that it names put into it, and the files that are left.
  async load(claim) {
    const form = new FormData();
    const { it, used } = this.found ? await this.whole() : { it: { kind: "claim", claim }, used: new Set() };
    if (it) form.append("case", JSON.stringify(it));
    for (const file of this.files) if (!used.has(file)) form.append(IMAGES.test(file.name) ? "images" : "documents", file, file.name);
    return form;
  }

  async whole() {
    const used = new Set(), missing = [];
    const put = async (name) => {
      if (!name || name.startsWith("data:")) return name;
      const file = this.files.find((each) => base(each.name) === base(name));
      if (!file) { missing.push(name); return name; }
      used.add(file);
      return dataOf(file);
    };
    const all = (names, act) => Promise.all((names ?? []).map(act));
    const step = async (one) => (one.screenshot ? { ...one, screenshot: await put(one.screenshot) } : one);
    const it = { ...this.found.case };
    for (const field of ["steps", "history"]) if (it[field]) it[field] = await all(it[field], step);
    if (it.images) it.images = await all(it.images, put);
    if (it.documents) it.documents = await all(it.documents, (each) => (typeof each === "string" ? put(each) : each));
    if (missing.length) throw new Problem(`${this.found.name} names ${plural(missing.length, "file")} that are not here: ${missing.slice(0, 3).map(base).join(", ")}${missing.length > 3 ? ", …" : ""}.`, "Drop these files too, or take their names out of it.");
    return { it, used };
  }
}

function dataOf(file) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(`data:${typeOf(file.name)};base64,${reader.result.slice(reader.result.indexOf(",") + 1)}`));
    reader.addEventListener("error", () => fail(new Problem(`${file.name} cannot be read.`, "Pick it again.")));
    reader.readAsDataURL(file);
  });
}
