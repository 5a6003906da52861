"use strict";
// What pages that show judgements share. Whatever models and documents said becomes text nodes, never markup: `el` is the
// only maker of elements.

export const byId = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) node.style.setProperty(key, each);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// --- words ---

export const count = (n) => n.toLocaleString("en");
export const percent = (x, digits = 0) => `${(100 * x).toFixed(digits)}%`;
export const plural = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
export const megabytes = (n) => `${(n / 1e6).toLocaleString("en", { maximumFractionDigits: 1 })} MB`;
export const decimals = (x) => (Number.isFinite(x) ? x.toFixed(2) : "");
export function time(s) {
  if (s < 0.0995) return `${Math.round(1000 * s)} ms`;
  if (s < 120) return `${s.toFixed(s < 10 ? 2 : 1)} s`;
  return s < 7200 ? `${(s / 60).toFixed(1)} min` : `${(s / 3600).toFixed(1)} h`;
}

// --- colours of outcomes ---

const KNOWN = {
  SUPPORT: "green", REFUTE: "red", "NOT ENOUGH INFO": "amber", first: "blue", second: "teal", tie: "grey",
  success: "green", failure: "red", blocked: "amber", impossible: "amber",
  scored: "green", abstained: "grey", failed: "violet", right: "green", wrong: "red", same: "green", different: "amber",
};
const TONES = ["blue", "teal", "amber", "green", "violet", "red", "grey"];
const tones = new Map();
export function tone(name) {
  if (name in KNOWN) return KNOWN[name];
  if (!tones.has(name)) tones.set(name, TONES[tones.size % TONES.length]);
  return tones.get(name);
}
