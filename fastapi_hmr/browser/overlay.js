// <fastapi-hmr-overlay>: a failed save, over the page and out of its reach. Text only ever enters as text.

/**
 * @typedef {{number: number, text: string}} SourceLine
 * @typedef {{file: string, line: number, function: string, column: number | null, end_column: number | null,
 *   source: SourceLine[], library: boolean}} Frame
 * @typedef {{title: string, message: string, frames: Frame[], note: string}} Report
 */

const sheet = new CSSStyleSheet(); // constructed: no `style-src` and no Trusted Types policy stands in its way
sheet.replaceSync(await (await fetch(new URL("overlay.css", import.meta.url))).text());

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

/** @param {Frame} frame @param {string} editor */
function makeFrame(frame, editor) {
  const place = `${frame.file}:${frame.line}`;
  const where = editor ? make("a", { href: link(frame, editor) }, place) : place;
  const lines = frame.source.map((line) => makeLine(frame, line));
  const head = make("h2", {}, where, " ", make("span", {}, `in ${frame.function}`));
  return make("section", {}, head, ...(lines.length ? [make("pre", {}, ...lines)] : []));
}

/** @param {Frame} frame @param {string} editor */
function link(frame, editor) {
  const path = frame.file.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/").replace(/^([A-Za-z])%3A/, "/$1:");
  const parts = { file: editor.includes("?") ? path : path.replace(/^\/*/, "/"), line: frame.line, column: (frame.column ?? 0) + 1 };
  return editor.replaceAll("file/{file}", "file{file}").replace(/\{(file|line|column)\}/g, (_, name) => String(parts[/** @type {"file"} */ (name)]));
}

/** Frames innermost first, a run of library frames folded. @param {Report} report @param {string} editor */
function makeFrames(report, editor) {
  const made = [];
  const frames = [...report.frames].reverse();
  while (frames.length) {
    const end = frames.findIndex((frame) => frame.library !== frames[0].library);
    const run = frames.splice(0, end < 0 ? frames.length : end);
    const sections = run.map((frame) => makeFrame(frame, editor));
    const noun = run.length === 1 ? "frame" : "frames";
    if (run[0].library) made.push(make("details", {}, make("summary", {}, `${run.length} library ${noun}`), ...sections));
    else made.push(...sections);
  }
  return made;
}

/** What a person pastes into an issue. @param {Report} report */
function asText(report) {
  const lines = report.frames.map((frame) => {
    const failing = frame.source.find((line) => line.number === frame.line)?.text.trim() ?? "";
    return `  File "${frame.file}", line ${frame.line}, in ${frame.function}\n    ${failing}`;
  });
  const head = lines.length ? ["Traceback (most recent call last):"] : [];
  return [...head, ...lines, `${report.title}: ${report.message}`, ...(report.note ? [report.note] : [])].join("\n");
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

  /** @param {Report} report @param {string} editor */
  fill(report, editor) {
    this.#root.adoptedStyleSheets = [sheet];
    const copying = make("button", { type: "button" }, "Copy as text");
    copying.onclick = () => copy(asText(report), this.#root).then(() => (copying.textContent = "Copied"));
    const closing = make("button", { type: "button", title: "Esc" }, "Close");
    closing.onclick = close;
    const title = make("h1", { id: "title" }, make("b", {}, report.title), `: ${report.message}`);
    const note = make("p", {}, report.note || "The last good version goes on serving. This closes with the fix.");
    const bar = make("div", { class: "bar" }, copying, closing);
    const dialog = make("div", { class: "frame", role: "alertdialog", "aria-labelledby": "title", tabindex: "-1" });
    dialog.append(bar, title, note, ...makeFrames(report, editor));
    const backdrop = make("div", { class: "backdrop" }, dialog);
    backdrop.onclick = (event) => event.target === backdrop && close();
    this.#root.replaceChildren(backdrop);
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

customElements.define("fastapi-hmr-overlay", Overlay);
const overlay = new Overlay();

/** Show this report, in place of any other. @param {Report} report @param {string} editor */
export function show(report, editor) {
  if (!overlay.isConnected) document.documentElement.append(overlay);
  overlay.popover = "manual"; // above the page's own modal dialogs, where the browser can
  overlay.showPopover?.();
  overlay.fill(report, editor);
}

/** Close it, by the fix or by hand. */
export function close() {
  overlay.remove();
}
