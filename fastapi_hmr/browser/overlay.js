// <fastapi-hmr-overlay>: a failed save, over the page and out of its reach. Text only ever enters as text.

/**
 * @typedef {{number: number, text: string}} SourceLine
 * `place` is the file, from where the server runs, and the line; `link` opens it in the person's editor, where one is known.
 * @typedef {{place: string, line: number, function: string, column: number | null, end_column: number | null,
 *   source: SourceLine[], library: boolean, link: string}} Frame
 * @typedef {{title: string, message: string, frames: Frame[], note: string, text: string}} Report
 */

const sheet = new CSSStyleSheet(); // constructed: no `style-src` and no Trusted Types policy stands in its way
sheet.replaceSync(await (await fetch(import.meta.url.replace("overlay.js", "overlay.css"))).text());

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name @param {{[name: string]: string}} attributes @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function make(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** @param {Frame} frame @param {SourceLine} line */
function makeLine(frame, line) {
  const number = make("i", {}, String(line.number));
  if (line.number !== frame.line) return make("code", {}, number, line.text);
  const { column, end_column: end } = frame;
  if (column === null || end === null || column >= end) return make("code", { class: "hit" }, number, line.text);
  const characters = [...line.text]; // columns count characters, JavaScript's indices halves of some
  const [before, hit, after] = [characters.slice(0, column), characters.slice(column, end), characters.slice(end)];
  return make("code", { class: "hit" }, number, before.join(""), make("mark", {}, hit.join("")), after.join(""));
}

/** @param {Frame} frame */
function makeFrame(frame) {
  const where = frame.link ? make("a", { href: frame.link }, frame.place) : frame.place;
  const lines = frame.source.map((line) => makeLine(frame, line));
  const head = make("h2", {}, where, " ", make("span", {}, `in ${frame.function}`));
  return make("section", {}, head, ...(lines.length ? [make("pre", {}, ...lines)] : []));
}

/** Frames innermost first, a run of library frames folded. @param {Report} report */
function makeFrames(report) {
  const made = [];
  const frames = [...report.frames].reverse();
  while (frames.length) {
    const end = frames.findIndex((frame) => frame.library !== frames[0].library);
    const run = frames.splice(0, end < 0 ? frames.length : end);
    const sections = run.map((frame) => makeFrame(frame));
    const noun = run.length === 1 ? "frame" : "frames";
    if (run[0].library) made.push(make("details", {}, make("summary", {}, `${run.length} library ${noun}`), ...sections));
    else made.push(...sections);
  }
  return made;
}

/** @param {string} text @param {ShadowRoot} root */
async function copy(text, root) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Not a secure context: the old way needs a selection.
    const area = make("textarea", { style: "position: fixed; opacity: 0" });
    area.value = text;
    root.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

class Overlay extends HTMLElement {
  #root = this.attachShadow({ mode: "open" });
  /** @type {Element | null} */
  #focused = null;

  /** @param {Report} report */
  fill(report) {
    this.#root.adoptedStyleSheets = [sheet];
    const copying = make("button", { type: "button" }, "Copy as text");
    copying.onclick = () => copy(report.text, this.#root).then(() => (copying.textContent = "Copied"));
    const closing = make("button", { type: "button", title: "Esc" }, "Close");
    closing.onclick = close;
    const title = make("h1", { id: "title" }, make("b", {}, report.title), `: ${report.message}`);
    const note = make("p", {}, report.note);
    const bar = make("div", { class: "bar" }, copying, closing);
    const frame = make("div", { class: "frame" }, bar, title, note, ...makeFrames(report));
    const dialog = make("dialog", { role: "alertdialog", "aria-labelledby": "title" }, frame);
    dialog.onclick = (event) => {
      if (event.target === dialog) close(); // beside the frame
    };
    this.#root.replaceChildren(dialog);
    dialog.showModal(); // above the page's own modal dialogs, which make everything else inert
    closing.focus({ preventScroll: true });
  }

  connectedCallback() {
    this.#focused = document.activeElement;
    addEventListener("keydown", onKey, true);
  }

  disconnectedCallback() {
    removeEventListener("keydown", onKey, true);
    if (this.#focused instanceof HTMLElement) this.#focused.focus({ preventScroll: true });
  }
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (event.key !== "Escape") return;
  event.stopImmediatePropagation(); // the page's own dialogs stay open
  event.preventDefault();
  close();
}

/** A small notice in the corner. */
class Hint extends HTMLElement {
  #root = this.attachShadow({ mode: "open" });

  /** @param {string} kind @param {string} text @param {() => void} onclick */
  fill(kind, text, onclick) {
    this.#root.adoptedStyleSheets = [sheet];
    const button = make("button", { type: "button", class: `hint-button ${kind}` }, text);
    button.onclick = onclick;
    this.#root.replaceChildren(button);
  }
}

customElements.define("fastapi-hmr-hint", Hint);
customElements.define("fastapi-hmr-overlay", Overlay);
const overlay = new Overlay();
const corner = new Hint();
const chip = new Hint();
let told = false;

/** Show this report, in place of any other. @param {Report} report */
export function show(report) {
  if (!overlay.isConnected) document.documentElement.append(overlay);
  overlay.fill(report);
}

/** Close it, by the fix or by hand. */
export function close() {
  overlay.remove();
}

/** Show that a handler raised; null: not any more. @param {Report | null} report */
export function hint(report) {
  corner.remove();
  if (!report) return;
  corner.fill("raised", `${report.title} ${report.note}`, () => show(report));
  document.documentElement.append(corner);
}

/** Say something in the other corner, once; a click puts it away. @param {string} text */
export function notice(text) {
  if (told) return;
  told = true;
  chip.fill("notice", text, () => chip.remove());
  document.documentElement.append(chip);
}
