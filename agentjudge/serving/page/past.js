// The history of this browser: what was asked from here, newest first. The server keeps the verdicts themselves.
import { byId, el } from "./words.js";
import { outcome, pill, textOf } from "./show.js";

const NAME = "agentjudge history", MOST = 200;

export function past() {
  try { return JSON.parse(localStorage.getItem(NAME)) ?? []; } catch { return []; }
}

function keep(list) {
  try { localStorage.setItem(NAME, JSON.stringify(list.slice(0, MOST))); } catch { /* full or forbidden: it is a comfort only */ }
  drawPast();
}

// A session has one entry, with its latest verdict.
export function remember(record) {
  const same = ({ id, session }) => id === record.id || (session && session === record.session);
  const entry = { id: record.id, session: record.session, text: textOf(record.case).slice(0, 200), outcome: outcome(record), at: record.created };
  const list = past(), before = list.find(same);
  if (before && before.at > entry.at) return;
  if (before?.id === entry.id) keep(list.map((each) => (each === before ? entry : each)));
  else keep([entry, ...list.filter((each) => each !== before)]);
}

export const forget = (gone) => keep(past().filter(({ id, session }) => id !== gone && session !== gone));

let current = "";
export function setCurrent(record) {
  current = record ? record.session ?? record.id : "";
  drawPast();
}

function drawn() {
  const list = past();
  if (!list.length) return [el("h2", {}, "History"), el("p", { class: "soft small" }, "What you ask from this browser is listed here.")];
  const item = (entry) => el("li", {},
    el("a", { href: `#/verdicts/${encodeURIComponent(entry.id)}`, "aria-current": (entry.session ?? entry.id) === current ? "page" : null },
      el("span", { class: "text" }, entry.text), el("span", { class: "below" }, pill(entry.outcome), el("time", { datetime: entry.at, class: "soft" }, when(entry.at)))),
    el("button", { type: "button", class: "link away", title: "Take it off this list", "aria-label": `Take off the list: ${entry.text}`, onclick: () => forget(entry.id) }, "×"));
  return [el("h2", {}, "History"), el("ul", {}, list.map(item)), el("p", {}, el("button", { type: "button", class: "link small", onclick: () => keep([]) }, "Clear the list"))];
}

function when(at) {
  const date = new Date(at);
  return date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : date.toLocaleDateString([], { day: "numeric", month: "short" });
}

export function drawPast() {
  byId("past").replaceChildren(...drawn());
  const dialog = byId("past-dialog");
  if (dialog.open) openPast();
}

export function openPast() {
  const dialog = byId("past-dialog");
  dialog.replaceChildren(...drawn(), el("form", { method: "dialog" }, el("button", { class: "button" }, "Close")));
  if (!dialog.open) dialog.showModal();
}

// The entry before (-1) or behind (1) the one on the page.
export function beside(step) {
  const list = past(), at = list.findIndex(({ id, session }) => (session ?? id) === current);
  const next = list[at < 0 ? 0 : at + step];
  if (next) location.hash = `#/verdicts/${encodeURIComponent(next.id)}`;
}
