// What the page asks its server, as docs/api.md has it; and what it says where that goes wrong.

const KEY = "agentjudge key";

// What happened, and what to do about it. `again` says that the same request may pass; `after` in how many seconds.
export class Problem extends Error {
  constructor(what, advice, { status = 0, again = false, after = 0 } = {}) {
    super(what);
    Object.assign(this, { advice, status, again, after });
  }
}

export const key = {
  get value() { return sessionStorage.getItem(KEY) ?? ""; },
  set value(text) { if (text) sessionStorage.setItem(KEY, text); else sessionStorage.removeItem(KEY); },
};

function problemOf(status, detail, after) {
  const told = typeof detail === "string" ? detail : (detail ?? []).map(({ loc, msg }) => `${(loc ?? []).join(".")}: ${msg}`).join("; ");
  const how = { status, after };
  switch (status) {
    case 401: return new Problem("The server wants a key.", "Type the key that its owner gave you.", how);
    case 403: return new Problem(`The server refuses this: ${told}.`, "Use another key, or open the page under the server's own address.", how);
    case 404: return new Problem(`It is not there: ${told}.`, "It may have been deleted, or belong to another key. Ask anew.", how);
    case 408: return new Problem("The files did not reach the server in time.", "Send smaller files, or try again on a faster line.", { ...how, again: true });
    case 409: return new Problem("A verdict of this session is still being made.", "Wait until it is there, then ask again.", { ...how, again: true });
    case 413: return new Problem("This is more than the server takes at once.", "Leave a file out, or send smaller ones.", how);
    case 429: return new Problem("The server is busy, or this key has asked too much.", "Wait a little and try again.", { ...how, again: true });
    case 503: return new Problem(`The server cannot do it now: ${told}.`, "Try again in a moment.", { ...how, again: true });
    default: break;
  }
  if (status === 400 || status === 422) return new Problem(`The server cannot judge this: ${told}.`, "Change what is said to be wrong, and send it again.", how);
  return new Problem(`The server failed (${status}${told ? `: ${told}` : ""}).`, "Try again; if it stays so, its owner finds more in its log.", { ...how, again: true });
}

export async function ask(path, { method = "GET", body, headers = {}, signal } = {}) {
  const sent = { ...headers };
  if (key.value) sent["X-API-Key"] = key.value;
  if (body !== undefined && !(body instanceof FormData)) [body, sent["Content-Type"]] = [JSON.stringify(body), "application/json"];
  let answer;
  try {
    answer = await fetch(path, { method, body, headers: sent, signal });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Problem("The server cannot be reached.", "See that it still runs (agentjudge serve) and that you are on its network; then try again.", { again: true });
  }
  if (answer.ok) return answer;
  let detail = "";
  try { detail = (await answer.json()).detail; } catch { /* no JSON: the status says it */ }
  throw problemOf(answer.status, detail, Number(answer.headers.get("Retry-After")) || 0);
}

export const get = async (path) => (await ask(path)).json();
export const post = async (path, body) => (await ask(path, { method: "POST", body })).json();
export const remove = (path) => ask(path, { method: "DELETE" });

async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const lines = text.slice(0, end).split("\n").filter((line) => line && !line.startsWith(":"));
        text = text.slice(end + 2);
        const fields = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
        if (fields.event) yield { id: Number(fields.id), name: fields.event, data: JSON.parse(fields.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const pause = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds); });
const TRIES = 6;

// Follows a judgement to its end, over lost connections; `tell(name, data)` takes each event once.
export async function follow(answer, tell, { id = "", lost = () => {}, signal } = {}) {
  let last = -1;
  for (let tries = 0; ; tries += 1) {
    try {
      for await (const event of events(answer)) {
        if (event.id <= last) continue;
        [last, tries] = [event.id, 0];
        if (event.name === "start") id = event.data.id;
        tell(event.name, event.data);
        if (event.name === "verdict" || event.name === "error") return;
      }
    } catch (cause) {
      if (signal?.aborted) throw cause;
    }
    if (!id || tries >= TRIES) throw new Problem("The connection to the server is lost.", "The judgement may go on there: load this page again to see it.", { again: true });
    lost();
    await pause(0.5 * 2 ** tries);
    try {
      answer = await ask(`/v1/verdicts/${encodeURIComponent(id)}/events`, { headers: { "Last-Event-ID": String(last) }, signal });
    } catch (cause) {
      if (signal?.aborted || (cause.status && !cause.again)) throw cause;
      answer = new Response("");
    }
  }
}

export const begin = (path, body, signal) => ask(path, { method: "POST", body, signal });
export const eventsOf = (id, signal) => ask(`/v1/verdicts/${encodeURIComponent(id)}/events`, { signal });

// Addresses of pictures that this page may show, by SHA-256; a key cannot go into the address of a picture.
const pictures = new Map();
export function picture(sha) {
  if (!pictures.has(sha)) {
    const made = ask(`/v1/files/${sha}`).then((answer) => answer.blob()).then((blob) => URL.createObjectURL(blob));
    made.catch(() => pictures.delete(sha));
    pictures.set(sha, made);
  }
  return pictures.get(sha);
}

export function dropPictures() {
  for (const made of pictures.values()) made.then(URL.revokeObjectURL, () => {});
  pictures.clear();
}
