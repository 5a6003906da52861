// The page: what is asked, the verdicts of a session one below the other, and where to go from them.
// `/#/` asks; `/#/verdicts/ID` shows a verdict with its whole session. All that documents and models say is text.
import { byId, el, plural, time } from "./words.js";
import { Problem, begin, dropPictures, eventsOf, follow, get, key, post, remove } from "./api.js";
import { caseOf, outcome, pill, textOf, verdictOf } from "./show.js";
import { Steps } from "./steps.js";
import { Attached } from "./attach.js";
import { beside, drawPast, forget, openPast, remember, setCurrent } from "./past.js";

const say = (words) => { byId("status").textContent = words; };
let judges = [], corpora = [], opened = { session: null, id: null, stop: null };

// --- problems ---

function problemCard(problem, again) {
  const known = problem instanceof Problem ? problem : new Problem(`Something went wrong on this page: ${problem.message}.`, "Load the page again.");
  if (problem !== known) console.error(problem);
  const button = again && known.again ? el("button", { type: "button", class: "button", onclick: () => { card.remove(); again(); } }, "Try again") : null;
  const card = el("div", { class: "failure red problem" }, el("b", {}, known.message), el("p", {}, known.advice), button);
  if (button && known.after) countDown(button, Math.ceil(known.after));
  if (known.status === 401) askKey(again);
  return card;
}

function countDown(button, seconds) {
  button.disabled = seconds > 0;
  button.textContent = seconds > 0 ? `Try again in ${seconds} s` : "Try again";
  if (seconds > 0 && seconds < 600) setTimeout(() => countDown(button, seconds - 1), 1000);
}

function askKey(then) {
  const dialog = byId("key");
  byId("open-key").hidden = false;
  byId("key-problem").hidden = !key.value;
  byId("key-problem").textContent = key.value ? "The server does not know this key." : "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "use") return;
    key.value = byId("key-value").value.trim();
    [byId("key-value").value, dialog.returnValue] = ["", ""];
    start().then(then, () => {});
  };
  if (!dialog.open) dialog.showModal();
}

// --- asking ---

const attached = new Attached({ id: "file-input", cases: true, changed: () => choices() });
byId("files").replaceWith(attached.node);

// Judges that take what is there now, and the corpora they may search.
function choices() {
  const select = byId("judge"), picked = select.value, able = judges.filter(({ takes }) => takes.includes(attached.kind));
  for (const each of [byId("claim"), byId("claim-label")]) each.hidden = Boolean(attached.found);
  select.replaceChildren(el("option", { value: "" }, "Automatic"), ...able.map(({ name }) => el("option", { value: name }, name)));
  select.value = able.some(({ name }) => name === picked) ? picked : "";
  const judge = able.find(({ name }) => name === select.value), searching = judge ? judge.corpus : able.some(({ corpus }) => corpus);
  byId("corpus-label").hidden = !corpora.length || !searching;
  byId("about-judge").textContent = judge ? judge.summary : able.length ? "" : "This server has no judge for such a case.";
  byId("go").disabled = !able.length;
}

async function send(event) {
  event?.preventDefault();
  const claim = byId("claim").value.trim(), place = byId("ask-problem");
  place.replaceChildren();
  if (!claim && !attached.found) {
    place.replaceChildren(problemCard(new Problem("There is no claim.", attached.files.length ? "Say what the files are to be held against." : "Type one, or drop a run of an agent as JSON.")));
    return byId("claim").focus();
  }
  const go = byId("go");
  go.disabled = true;
  go.textContent = "Sending …";
  try {
    const form = await attached.load(claim);
    if (byId("judge").value) form.append("judge", byId("judge").value);
    if (!byId("corpus-label").hidden) form.append("corpus", byId("corpus").value);
    form.append("stream", "true");
    await run((signal) => begin("/v1/sessions", form, signal), { fresh: true });
  } catch (problem) {
    home({ keep: true });
    place.replaceChildren(problemCard(problem, send));
  } finally {
    go.disabled = false;
    go.textContent = "Check";
  }
  return null;
}

// --- a session ---

function reset({ session = null, id = null } = {}) {
  opened.stop?.abort();
  if (session === null || session !== opened.session) dropPictures();
  opened = { session, id, stop: new AbortController(), records: new Map() };
  return opened;
}

// Asks for a judgement and shows it as it comes. `fresh` is that of a new session.
async function run(asking, { fresh = false } = {}) {
  const mine = fresh ? reset() : opened, answer = await asking(mine.stop.signal);
  let block = null;
  try {
    await follow(answer, (name, data) => {
      if (mine !== opened) return;
      if (name === "start") {
        if (fresh) draw(data);
        mine.session = data.session;
        block = blockOf(data);
        address(data);
        if (fresh) { byId("claim").value = ""; attached.clear(); byId("verdicts").querySelector("h1").focus(); }
        else block.node.scrollIntoView({ block: "start" });
      }
      block.take(name, data);
    }, { lost: () => say("Connection lost; trying again."), signal: mine.stop.signal });
  } catch (problem) {
    if (mine !== opened || mine.stop.signal.aborted) return;
    if (!block) throw problem;
    block.fail(problem);
  }
  if (mine === opened) challenge();
}

function address(record) {
  opened.id = record.id;
  history.pushState(null, "", `#/verdicts/${encodeURIComponent(record.id)}`);
  remember(record);
  setCurrent(record);
}

// The page of a session, without its verdicts.
function draw(record) {
  document.title = `${textOf(record.case).slice(0, 60)} · agentjudge`;
  byId("problem").replaceChildren();
  byId("ask").hidden = true;
  byId("new").hidden = false;
  byId("verdicts").hidden = false;
  byId("verdicts").replaceChildren(caseOf(record), el("div", { id: "thread" }), el("div", { id: "again" }));
  byId("main").scrollTop = 0;
}

// One verdict with its words and its steps: made as it runs, or of one that has ended.
function blockOf(record, { steps: ended = false } = {}) {
  const steps = new Steps(say), began = Date.now();
  const title = el("span", {}, ended ? "Steps" : "Checking …"), clock = el("span", { class: "soft" }), state = el("summary", {}, title, " ", clock);
  const folded = el("details", { class: "steps-of", open: !ended }, state, steps.node), result = el("div", {});
  const link = el("a", { class: "soft id", href: `#/verdicts/${encodeURIComponent(record.id)}`, title: "A link to this verdict" }, record.id);
  const node = el("section", { class: "turn", id: `v-${record.id}`, "aria-label": record.words ? "Verdict after a challenge" : "Verdict" },
    record.words ? el("blockquote", { class: "words" }, record.words) : null, result, folded);
  const ticking = ended ? null : setInterval(() => { clock.textContent = time(Math.round((Date.now() - began) / 1000)); }, 1000);
  const settle = () => { clearInterval(ticking); clock.textContent = ""; title.textContent = `Steps${steps.calls.size ? ` · ${plural(steps.calls.size, "tool call")}` : ""}`; };
  byId("again").replaceChildren(ended || record.first_turn ? "" : stopButton(record));
  byId("thread").append(node);

  function conclude(done) {
    opened.records.set(done.id, done);
    const card = verdictOf(done);
    card.append(el("p", { class: "links" }, link, el("button", { type: "button", class: "link small", onclick: (event) => copy(link.href, event.currentTarget) }, "Copy link")));
    result.replaceChildren(card);
    steps.mark(done.verdict.evidence ?? []);
    remember(done);
    const old = byId("verdicts").querySelector(".case");
    if ([...opened.records.keys()].at(-1) === done.id) old.replaceWith(caseOf(done));
  }

  const block = {
    node,
    take(name, data) {
      steps.add(name, data);
      if (name === "verdict") {
        settle();
        conclude(data);
        folded.open = false;
        const sure = data.verdict.confidence ? `, ${Math.round(100 * data.verdict.confidence.value)}% sure` : "";
        say(`Verdict: ${outcome(data)}${sure}.`);
      } else if (name === "error") {
        settle();
        block.fail(new Problem(`The judgement was broken off: ${data.detail}.`, "Ask again, or load this page later: a session goes on when the server starts again."));
      }
    },
    fail(problem) {
      settle();
      steps.end();
      result.replaceChildren(problemCard(problem, () => location.reload()));
    },
  };
  if (!ended) { say("Checking."); return block; }
  if (record.verdict) conclude(record);
  else result.replaceChildren(el("p", { class: "soft" }, "It was cancelled."));
  folded.addEventListener("toggle", async () => {
    if (!folded.open || steps.node.children.length) return;
    title.textContent = "Steps …";
    try {
      await follow(await eventsOf(record.id), (name, data) => steps.add(name, data), { id: record.id });
      steps.mark(record.verdict?.evidence ?? []);
    } catch (problem) {
      steps.node.append(el("li", {}, problemCard(problem)));
    }
    settle();
  });
  return block;
}

function stopButton(record) {
  const button = el("button", { type: "button", class: "button", onclick: async () => {
    button.disabled = true;
    try {
      await remove(`/v1/sessions/${encodeURIComponent(record.session)}`);
      forget(record.id);
      location.hash = "#/";
    } catch (problem) { byId("problem").replaceChildren(problemCard(problem)); }
  } }, "Stop, and forget it");
  return record.session ? button : "";
}

async function copy(text, button) {
  try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { button.textContent = "The browser does not allow it; copy the address above"; }
}

// --- challenge ---

function challenge() {
  const place = byId("again"), last = [...opened.records.values()].at(-1);
  if (!place || !last || !opened.session) { place?.replaceChildren(); return; }
  const judge = judges.find(({ name }) => name === last.judge), talks = judge?.challenge ?? true;
  const words = el("textarea", { id: "words", rows: 2, placeholder: "Say what is wrong or where to look, such as: the second sentence says otherwise.", "aria-keyshortcuts": "c", hidden: !talks });
  const problem = el("div", { role: "alert" }), go = el("button", { class: "primary" }, "Ask again");
  const files = new Attached({ id: "again-input", what: "Add evidence" });
  dropping = files;
  const path = `/v1/sessions/${encodeURIComponent(opened.session)}`;
  let sent = 0;
  async function again(event) {
    event?.preventDefault();
    problem.replaceChildren();
    const text = words.value.trim();
    if (!text && !files.size && !sent && talks) {
      problem.replaceChildren(problemCard(new Problem("There is nothing new.", "Say what is wrong, or add evidence.")));
      return words.focus();
    }
    go.disabled = true;
    try {
      if (files.size) {
        const form = await files.load("");
        form.delete("case");
        await post(`${path}/evidence`, form);
        sent += files.size;
        files.clear();
      }
      await run((signal) => (text ? begin(`${path}/challenge`, { words: text, stream: true }, signal) : begin(`${path}/ask`, { stream: true }, signal)));
    } catch (failed) {
      problem.replaceChildren(problemCard(failed, again));
    }
    go.disabled = false;
    return null;
  }
  const form = el("form", { class: "box-form", "aria-labelledby": "again-title", onsubmit: again },
    el("h2", { id: "again-title" }, talks ? "Challenge it" : "Ask again, with more evidence"),
    talks ? el("label", { class: "unseen", for: "words" }, "What is wrong, or where to look") : el("p", { class: "soft small" }, "This judge asks about each part by itself, and takes no words."), words,
    files.node, el("div", { class: "row-of" }, go), problem);
  place.replaceChildren(form);
}

// --- where the page is ---

let dropping = attached;

function home({ keep = false } = {}) {
  if (!keep) reset();
  dropping = attached;
  document.title = "agentjudge";
  setCurrent(null);
  byId("problem").replaceChildren();
  byId("ask-problem").replaceChildren();
  byId("verdicts").hidden = true;
  byId("verdicts").replaceChildren();
  byId("new").hidden = true;
  byId("ask").hidden = false;
  byId("claim").focus();
}

async function show(id) {
  const mine = reset({ session: opened.session });
  byId("ask").hidden = true;
  try {
    const record = await get(`/v1/verdicts/${encodeURIComponent(id)}`);
    const all = record.session ? (await get(`/v1/sessions/${encodeURIComponent(record.session)}`)).verdicts : [record];
    if (mine !== opened) return;
    Object.assign(mine, { session: record.session, id });
    draw(all.at(-1));
    setCurrent(record);
    for (const each of all) {
      if (each.status !== "running") { blockOf(each, { steps: true }); continue; }
      const block = blockOf(each);
      follow(await eventsOf(each.id, mine.stop.signal), (name, data) => { if (mine === opened) block.take(name, data); }, { id: each.id, signal: mine.stop.signal })
        .then(() => { if (mine === opened) challenge(); }, (problem) => { if (mine === opened) block.fail(problem); });
    }
    if (all.every(({ status }) => status !== "running")) challenge();
    if (all.length > 1 && id !== all[0].id) byId(`v-${id}`)?.scrollIntoView();
    byId("verdicts").querySelector("h1").focus({ preventScroll: true });
  } catch (problem) {
    if (mine !== opened) return;
    byId("verdicts").hidden = true;
    byId("new").hidden = false;
    byId("problem").replaceChildren(problemCard(problem, () => show(id)), el("p", {}, el("a", { href: "#/" }, "Ask something new")));
  }
}

function route() {
  const found = location.hash.match(/^#\/verdicts\/([^/]+)$/);
  if (!found) return home();
  const id = decodeURIComponent(found[1]);
  if (opened.records?.has(id)) return byId(`v-${id}`)?.scrollIntoView({ block: "start" });
  return show(id);
}

// --- keys, files, start ---

function nextProof(step) {
  const all = [...document.querySelectorAll("#verdicts .proof")], at = all.indexOf(document.activeElement.closest(".proof"));
  all.at(at < 0 ? (step > 0 ? 0 : -1) : (at + step + all.length) % all.length)?.focus();
}

function keys(event) {
  const typing = event.target.matches("input, textarea, select");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) { event.preventDefault(); event.target.form.requestSubmit(); }
  if (event.key === "Escape" && typing) event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const acts = {
    n: () => { if (location.hash.length > 2) location.hash = "#/"; else byId("claim").focus(); }, c: () => byId("words")?.focus(),
    e: () => nextProof(1), E: () => nextProof(-1), j: () => beside(1), k: () => beside(-1), "?": () => byId("keys").showModal(),
    s: () => { const all = document.querySelectorAll(".steps-of"); const last = all[all.length - 1]; if (last) last.open = !last.open; },
  };
  acts["/"] = acts.n;
  if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
}

function files() {
  let over = 0;
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const veil = (by) => { over = Math.max(0, over + by); byId("drop").hidden = !over; };
  addEventListener("dragenter", (event) => { if (carries(event)) veil(1); });
  addEventListener("dragleave", (event) => { if (carries(event)) veil(-1); });
  addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    veil(-over);
    dropping.add(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    dropping.add(event.clipboardData.files);
  });
}

async function start() {
  try {
    [{ judges }, { corpora }] = await Promise.all([get("/v1/judges"), get("/v1/corpora")]);
  } catch (problem) {
    byId("problem").replaceChildren(problemCard(problem, start));
    throw problem;
  }
  byId("open-key").hidden = !key.value;
  byId("corpus").replaceChildren(...corpora.map(({ name, documents }) => el("option", { value: name }, `${name} (${plural(documents, "document")})`)), el("option", { value: "" }, "none"));
  choices();
  route();
}

byId("composer").addEventListener("submit", send);
byId("judge").addEventListener("change", choices);
byId("open-past").addEventListener("click", openPast);
byId("open-keys").addEventListener("click", () => byId("keys").showModal());
byId("open-key").addEventListener("click", () => askKey());
byId("past-dialog").addEventListener("click", (event) => { if (event.target.closest("a")) byId("past-dialog").close(); });
document.addEventListener("keydown", keys);
addEventListener("hashchange", route);
addEventListener("popstate", () => { if (opened.id && !location.hash.includes(opened.id)) route(); });
files();
drawPast();
start().catch(() => {}).finally(() => { document.documentElement.dataset.ready = "yes"; });
