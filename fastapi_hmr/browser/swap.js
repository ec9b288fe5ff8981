// Takes changed stylesheets and images into the open page without a reload.

/** @typedef {(value: string, from?: string) => string} Bump The URL to load instead, "" where it is none of the changed. */

const MARK = "fastapi-hmr";
const ON = ":not([data-fastapi-hmr=off])"; // a page can keep an element as it is

/**
 * Load these files again, by name; null: all, for any may have changed. Whether each was found.
 * @param {string[] | null} names @param {number} count
 */
export function swap(names, count) {
  const found = new Set();
  /** @type {Bump} */
  const bump = (value, from = document.baseURI) => {
    if (!value || !URL.canParse(value, from)) return "";
    const url = new URL(value, from);
    const name = decoded(url.pathname.split("/").pop() ?? "");
    if (url.origin !== location.origin || (names && !names.includes(name))) return "";
    found.add(name);
    url.searchParams.set(MARK, String(count));
    return url.href;
  };
  swapElements(bump);
  for (const sheet of document.styleSheets) {
    if (!(sheet.ownerNode instanceof HTMLLinkElement && bump(sheet.href ?? ""))) swapRules(sheet, bump, sheet.href ?? undefined);
  }
  return !names || names.every((name) => found.has(name));
}

/** @param {string} name */
function decoded(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** @param {Bump} bump */
function swapElements(bump) {
  for (const link of document.querySelectorAll("link")) {
    if (/stylesheet|icon/.test(link.rel)) swapLink(link, bump(link.href));
  }
  for (const [selector, name] of [["img[src], input[src]", "src"], ["image[href]", "href"], ["video[poster]", "poster"]]) {
    for (const element of document.querySelectorAll(selector)) {
      const url = bump(element.getAttribute(name) ?? "");
      if (url && element.matches(ON)) element.setAttribute(name, url);
    }
  }
  for (const element of document.querySelectorAll(`[srcset]${ON}`)) {
    const candidates = (element.getAttribute("srcset") ?? "").split(/,\s+/);
    const next = candidates.map((candidate) => candidate.trim().replace(/^\S+/, (url) => bump(url) || url));
    element.setAttribute("srcset", next.join(", "));
  }
  for (const element of document.querySelectorAll(`[style*='url(']${ON}`)) {
    if (element instanceof HTMLElement) swapStyle(element.style, bump);
  }
}

/** @type {WeakMap<HTMLLinkElement, HTMLLinkElement>} */
const coming = new WeakMap();

/** Load the new one beside the old, then drop the old: no flash of bare content. @param {HTMLLinkElement} link @param {string} url */
function swapLink(link, url) {
  if (!url || link.dataset.fastapiHmr) return;
  if (!/stylesheet/.test(link.rel)) {
    link.href = url;
    return;
  }
  coming.get(link)?.remove();
  const next = /** @type {HTMLLinkElement} */ (link.cloneNode());
  coming.set(link, next);
  next.nonce = link.nonce;
  next.dataset.fastapiHmr = "coming";
  next.onload = () => {
    delete next.dataset.fastapiHmr;
    link.remove();
  };
  next.onerror = () => next.remove();
  next.href = url;
  link.after(next);
}

/** @param {CSSStyleSheet | CSSGroupingRule} group @param {Bump} bump @param {string | undefined} from */
function swapRules(group, bump, from) {
  try {
    for (const rule of group.cssRules) {
      if (rule instanceof CSSStyleRule && rule.cssText.includes("url(")) swapStyle(rule.style, bump, from);
      else if (rule instanceof CSSGroupingRule) swapRules(rule, bump, from);
      else if (rule instanceof CSSImportRule && rule.styleSheet) swapRules(rule.styleSheet, bump, rule.styleSheet.href ?? from);
    }
  } catch {
    // another origin's stylesheet can't be read, and isn't ours to change
  }
}

/** @param {CSSStyleDeclaration} style @param {Bump} bump @param {string} [from] what URLs in it are relative to */
function swapStyle(style, bump, from) {
  for (const name of style) {
    const old = style.getPropertyValue(name);
    const value = old.replace(/url\("([^"]+)"\)/g, (all, url) => {
      const next = bump(url, from);
      return next ? `url("${next}")` : all;
    });
    if (value !== old) style.setProperty(name, value, style.getPropertyPriority(name));
  }
}
