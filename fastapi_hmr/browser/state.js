// What a person has typed, opened and scrolled, carried over a reload. Not passwords and files, which are not ours to keep.

const KEY = "fastapi-hmr:state";
const FIELDS = "input:not([type=password], [type=file], [type=hidden], [type=submit], [type=button]), textarea, select";

/** How to find an element again in the next version of the page. @param {Element} element */
function path(element) {
  const steps = [];
  for (let at = /** @type {Element | null} */ (element); at; at = at.parentElement) {
    const id = at.getAttribute("id"); // at.id may be a form's field of that name
    if (id) {
      steps.unshift(`#${CSS.escape(id)}`);
      break;
    }
    const name = at.getAttribute("name");
    if (name && at.matches("input, textarea, select")) {
      const same = document.querySelectorAll(`[name="${CSS.escape(name)}"]`);
      if (same.length === 1) {
        steps.unshift(`[name="${CSS.escape(name)}"]`);
        break;
      }
    }
    const type = at.localName;
    const siblings = at.parentElement ? [...at.parentElement.children].filter((other) => other.localName === type) : [];
    steps.unshift(siblings.length > 1 ? `${type}:nth-of-type(${siblings.indexOf(at) + 1})` : type);
  }
  return steps.join(" > ");
}

/** @typedef {{value?: string, checked?: boolean, chosen?: boolean[]}} Field */
/** @param {Element} field @returns {Field | null} null where nobody has touched it */
function readField(field) {
  if (field instanceof HTMLSelectElement) {
    const options = [...field.options];
    const first = field.multiple || options.some((option) => option.defaultSelected) ? -1 : 0;
    const touched = options.some((option) => option.selected !== (option.defaultSelected || option.index === first));
    return touched ? { chosen: options.map((option) => option.selected) } : null;
  }
  if (field instanceof HTMLInputElement && /checkbox|radio/.test(field.type)) {
    return field.checked === field.defaultChecked ? null : { checked: field.checked };
  }
  if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) {
    return field.value === field.defaultValue ? null : { value: field.value };
  }
  return null;
}

/** @param {Element | null} field @param {Field} saved */
function writeField(field, saved) {
  if (field instanceof HTMLSelectElement) [...field.options].forEach((option, i) => (option.selected = !!saved.chosen?.[i]));
  else if (field instanceof HTMLInputElement && saved.checked !== undefined) field.checked = saved.checked;
  else if (field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement) field.value = saved.value ?? "";
  // Frameworks hear of it; `change` is left out, since it submits some forms.
  field?.dispatchEvent(new Event("input", { bubbles: true }));
}

/** @typedef {{url: string, fields: [string, Field][], details: [string, boolean][], scroll: [string, number, number][],
 *    focus: string, selection: [number, number, "forward" | "backward" | "none"] | null}} State */

const BUDGET = 100;
/** The first of these until the time is up: a page of a hundred thousand rows reloads without the rest. @template {Element} T @param {Iterable<T>} elements */
function* inTime(elements) {
  const end = performance.now() + BUDGET;
  for (const element of elements) {
    if (performance.now() > end) return;
    yield element;
  }
}

/** Keep it for the page that comes after the reload. */
export function save() {
  /** @type {State} */
  const state = { url: location.href, fields: [], details: [], scroll: [], focus: "", selection: null };
  for (const field of inTime(document.querySelectorAll(FIELDS))) {
    const value = readField(field);
    if (value) state.fields.push([path(field), value]);
  }
  for (const details of inTime(document.querySelectorAll("details"))) state.details.push([path(details), details.open]);
  for (const element of inTime(document.querySelectorAll("body *"))) {
    if (element.scrollTop || element.scrollLeft) state.scroll.push([path(element), element.scrollTop, element.scrollLeft]);
  }
  const focused = document.activeElement;
  if (focused && focused !== document.body) state.focus = path(focused);
  if (focused instanceof HTMLInputElement || focused instanceof HTMLTextAreaElement) {
    const { selectionStart, selectionEnd, selectionDirection } = focused;
    if (selectionStart !== null) state.selection = [selectionStart, selectionEnd ?? selectionStart, selectionDirection ?? "none"];
  }
  if (!state.focus && [state.fields, state.details, state.scroll].every((kept) => kept.length === 0)) return;
  try {
    sessionStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    // no storage, or a page too large for it: the reload matters more
  }
}

/** Put back what the page before the reload kept. */
export function restore() {
  let state = /** @type {State | null} */ (null);
  try {
    state = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    sessionStorage.removeItem(KEY);
  } catch {
    return;
  }
  if (state?.url !== location.href) return;
  const { fields, details, scroll, focus, selection } = state;
  const restoreAll = () => {
    for (const [where, open] of details) {
      const element = document.querySelector(where);
      if (element instanceof HTMLDetailsElement) element.open = open;
    }
    for (const [where, value] of fields) writeField(document.querySelector(where), value);
    const element = focus ? document.querySelector(focus) : null;
    if (element instanceof HTMLElement) element.focus({ preventScroll: true });
    if (selection && (element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement)) element.setSelectionRange(...selection);
  };
  const rescroll = () => scroll.forEach(([where, top, left]) => document.querySelector(where)?.scrollTo({ top, left, behavior: "instant" }));
  const begin = () => (restoreAll(), rescroll());
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", begin, { once: true });
  else begin();
  if (document.readyState !== "complete") addEventListener("load", rescroll, { once: true }); // the layout has changed
}
