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

// --- pictures; boxes are 0-1000 ---

export const outlines = (boxes, dim) => boxes.map(({ box: [x0, y0, x1, y1], n }) =>
  el("span", { class: `box${n === undefined ? " cut" : ""}${dim ? " dim" : ""}`, style: { left: `${x0 / 10}%`, top: `${y0 / 10}%`, width: `${(x1 - x0) / 10}%`, height: `${(y1 - y0) / 10}%` } }, n === undefined ? null : el("b", {}, n + 1)));

// A canvas with the region of a picture alone, as large as its pixels allow; drawn once `image` has its address.
export function closeUp([x0, y0, x1, y1]) {
  const canvas = el("canvas", { role: "img", "aria-label": "the region, enlarged" }), image = new Image();
  image.addEventListener("load", () => {
    const [width, height] = [image.naturalWidth, image.naturalHeight];
    const [left, top] = [(x0 * width) / 1000, (y0 * height) / 1000], [w, h] = [Math.max(1, ((x1 - x0) * width) / 1000), Math.max(1, ((y1 - y0) * height) / 1000)];
    const scale = Math.min(4, Math.max(1, 360 / w));
    [canvas.width, canvas.height] = [w * scale, h * scale];
    canvas.getContext("2d").drawImage(image, left, top, w, h, 0, 0, w * scale, h * scale);
  });
  return { canvas, image };
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
