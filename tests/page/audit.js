// What a page can be asked about itself: contrast, names, focus, motion. Each function gives a list of what is wrong.
"use strict";

const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".unseen, .skip, [inert]");
const rgb = (text) => text.match(/[\d.]+/g).map(Number);
const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);

function background(e) {
  for (; e; e = e.parentElement) {
    const colour = rgb(getComputedStyle(e).backgroundColor);
    if ((colour[3] ?? 1) > 0.99) return colour;
  }
  return [255, 255, 255];
}

/** Texts of less than 4.5 to 1. */
function faint() {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const wrong = new Set();
  let looked = 0;
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !seen(e) || e.closest("option, script, noscript")) continue;
    looked++;
    const style = getComputedStyle(e);
    const [a, b] = [rgb(e.closest("svg") ? style.fill : style.color), background(e)].map(luminance).sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) wrong.add(`${ratio.toFixed(2)} ${texts.currentNode.data.trim().slice(0, 40)}`);
  }
  return looked > 30 ? [...wrong] : [`only ${looked} texts were seen`];
}

/** Whatever moves, or would. */
function moving() {
  const styles = [...document.querySelectorAll("*")].map((e) => [e, getComputedStyle(e)]);
  const wrong = styles.filter(([, s]) => s.animationName !== "none" || !/^0s(, 0s)*$/.test(s.transitionDuration) || s.scrollBehavior === "smooth");
  return [...wrong.map(([e]) => e.tagName), ...document.getAnimations().map(String)];
}

/** Titles that skip a level, tables without heads, pictures without words, ids given twice. */
function untidy() {
  const wrong = [];
  let last = 0;
  for (const title of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!seen(title)) continue;
    const level = Number(title.tagName[1]);
    if (level > last + 1) wrong.push(`${title.tagName} after H${last}`);
    last = level;
  }
  for (const th of document.querySelectorAll("th")) if (!th.scope || !th.textContent.trim()) wrong.push(`th ${th.outerHTML}`);
  for (const img of document.querySelectorAll("img")) if (!img.hasAttribute("alt")) wrong.push(`img ${img.src}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  wrong.push(...ids.filter((id, k) => ids.indexOf(id) !== k));
  if (document.documentElement.lang !== "en" || !document.title || document.querySelectorAll("main").length !== 1) wrong.push("no language, title or main part");
  return wrong;
}

/** Bytes of a drawn picture that are not see-through, and of one colour. */
function pixels(layer, colour) {
  const img = document.querySelector(`#stack img[data-layer=${layer}]`);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
  const context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let [opaque, coloured] = [0, 0];
  for (let k = 0; k < data.length; k += 4) {
    if (data[k + 3] === 0) continue;
    opaque++;
    // What is half see-through comes back a little rounded.
    if (colour && colour.every((v, c) => Math.abs(data[k + c] - v) < 4)) coloured++;
  }
  return { width: canvas.width, height: canvas.height, opaque, coloured };
}
