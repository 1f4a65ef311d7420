// Copyright (c) 2026, The nomba.auth contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Measures each page of the site in frames of several widths: tests/tools/check_site.py.

const PHONE = 600; // the widest screen of a phone, in pixels
const BORDER = 2; // of a table, in pixels
const MIN_TEXT = 11; // the smallest text in a figure on a phone, in pixels
const FIGURE_TEXT = 14; // the size of text in the figures, in their own pixels
const MIN_CONTRAST = 4.5; // WCAG 2, level AA
const SEARCHES = { rotate: "docsite/rotation.html", still_accepted: "docsite/outcomes.html" };

const faults = [];
let looked = 0;
let checks = 0;

function check(passed, page, width, what) {
  checks += 1;
  if (!passed) faults.push(`${page} at ${width} px: ${what}`);
}

function load(url, width) {
  const frame = document.createElement("iframe");
  frame.style = `width: ${width}px; height: 900px; border: 0`;
  frame.src = url;
  const loaded = new Promise((done) => frame.addEventListener("load", () => done(frame)));
  document.body.append(frame);
  return loaded;
}

function name(element) {
  return `<${element.localName}> ${element.textContent.trim().replace(/\s+/g, " ").slice(0, 40)}`;
}

// Whether all of an element can be read without scrolling sideways.
function fits(element) {
  return element.scrollWidth <= element.clientWidth + 1;
}

function measure(frame, page, width) {
  const view = frame.contentDocument;
  const root = view.documentElement;
  check(root.scrollWidth <= root.clientWidth, page, width, `overflows to ${root.scrollWidth} px`);
  const article = view.querySelector("article");
  for (const code of article.querySelectorAll("pre")) {
    check(fits(code), page, width, `cut: ${name(code)}`);
  }
  for (const cell of article.querySelectorAll("td")) {
    const right = cell.closest("table").parentElement.getBoundingClientRect().right + BORDER;
    const inside = cell.getBoundingClientRect().right <= Math.min(right, width);
    check(inside && fits(cell), page, width, `hidden: ${name(cell)}`);
  }
  for (const figure of article.querySelectorAll("img")) {
    const size = (FIGURE_TEXT * figure.clientWidth) / figure.naturalWidth;
    const text = `text of ${size.toFixed(1)} px in ${figure.getAttribute("src")}`;
    check(figure.naturalWidth && size >= MIN_TEXT, page, width, text);
  }
  for (const block of article.querySelectorAll("div.highlight")) {
    const button = block.querySelector("button.copybtn");
    check(button, page, width, `no copy button: ${name(block)}`);
    if (!button) continue;
    const { opacity } = frame.contentWindow.getComputedStyle(button);
    check(width > PHONE || opacity === "1", page, width, `no visible copy button: ${name(block)}`);
    const text = copied(view, button);
    check(text && !/^\$ /m.test(text), page, width, `copied with prompts: ${name(block)}`);
  }
  for (const [text, contrast] of contrasts(frame.contentWindow, article)) {
    check(contrast >= MIN_CONTRAST, page, width, `contrast ${contrast.toFixed(1)}: ${text}`);
  }
  looked += 1;
}

// What a click puts on the clipboard. The button copies from an area that it removes at once.
function copied(view, button) {
  let text = "";
  view.execCommand = () => {
    text = view.querySelector("body > textarea").value;
    return true;
  };
  button.click();
  return text;
}

function channels(color) {
  return color.match(/[\d.]+/g).map(Number);
}

function luminance(color) {
  const [red, green, blue] = color.slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function background(window, element) {
  for (let one = element; one; one = one.parentElement) {
    const color = channels(window.getComputedStyle(one).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
}

// One pair of text and contrast for each combination of colors.
function contrasts(window, article) {
  const found = new Map();
  for (const element of article.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const style = window.getComputedStyle(element);
    if (!own || style.visibility !== "visible" || !element.getClientRects().length) continue;
    const colors = [channels(style.color), background(window, element)];
    const key = colors.join(" on ");
    if (found.has(key)) continue;
    const [light, dark] = colors.map(luminance).sort((one, other) => other - one);
    found.set(key, [`${name(element)} (${key})`, (light + 0.05) / (dark + 0.05)]);
  }
  return found.values();
}

async function search(word, expected) {
  const frame = await load(`/search.html?q=${word}`, 1280);
  const links = () => [...frame.contentDocument.querySelectorAll("ul.search li a")];
  for (let turn = 0; turn < 200 && !links().some((link) => link.href.includes(expected)); turn += 1) {
    await new Promise((done) => setTimeout(done, 50));
  }
  const found = links().some((link) => link.href.includes(expected));
  check(found, "search.html", 1280, `${word} does not find ${expected}`);
  frame.remove();
}

async function look() {
  const [pages, widths] = await (await fetch("/_check/pages")).json();
  for (const page of pages) {
    for (const width of widths) {
      const frame = await load(`/${page}`, width);
      try {
        measure(frame, page, width);
      } catch (error) {
        faults.push(`${page} at ${width} px: ${error}`);
      }
      frame.remove();
    }
  }
  for (const [word, expected] of Object.entries(SEARCHES)) await search(word, expected);
  const scheme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const result = { faults, looked, checks, scheme, pages: pages.length };
  await fetch("/_check/result", { method: "POST", body: JSON.stringify(result) });
}

look();
