// Hands a new openapi.json to Swagger UI or ReDoc in place: authorization, open panels and answers stay.

/**
 * @typedef {{[name: string]: any}} Json
 * @typedef {{specActions: {updateSpec(text: string): void}, specSelectors: {url(): string, specStr(): string}}} SwaggerUi
 */

/** Whether the page now shows what the server serves; false: only a reload can. */
export async function refresh() {
  const swagger = findSwagger();
  if (swagger) return refreshSwagger(swagger);
  const redoc = document.querySelector("redoc");
  if (redoc) return refreshRedoc(redoc);
  return false;
}

/** `const ui = SwaggerUIBundle(…)` in FastAPI's page: a global binding, and no property of window. @returns {SwaggerUi | null} */
function findSwagger() {
  // @ts-ignore - declared by the page, or not at all
  const found = typeof ui === "undefined" ? null : ui;
  return found?.specActions?.updateSpec && found?.specSelectors?.url ? found : null;
}

/** @param {string} url */
async function load(url) {
  const response = await fetch(new URL(url, document.baseURI), { headers: { accept: "application/json" }, cache: "no-cache" });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response.text();
}

/** @param {SwaggerUi} swagger */
async function refreshSwagger(swagger) {
  const before = parse(swagger.specSelectors.specStr());
  const text = await load(swagger.specSelectors.url());
  const after = parse(text);
  if (!before || !after) return false;
  swagger.specActions.updateSpec(text);
  const changed = changedOperations(before, after);
  mark(changed);
  return true;
}

/** @param {string} text @returns {Json | null} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** `method path` of each operation that is new or reads differently, referenced schemas included. @param {Json} before @param {Json} after */
function changedOperations(before, after) {
  const changed = [];
  for (const [path, methods] of Object.entries(after.paths ?? {})) {
    for (const [method, operation] of Object.entries(methods)) {
      const old = before.paths?.[path]?.[method];
      if (!old || whole(old, before) !== whole(operation, after)) changed.push({ path, method });
    }
  }
  return changed;
}

/** A part of a spec as text, with everything it refers to. @param {any} part @param {Json} spec */
function whole(part, spec, seen = new Set()) {
  return JSON.stringify(part, (key, value) => {
    if (key !== "$ref" || typeof value !== "string" || seen.has(value)) return value;
    seen.add(value);
    const target = value.replace(/^#\//, "").split("/").reduce((at, name) => at?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], spec);
    return value + whole(target, spec, seen);
  });
}

const MARK = "data-fastapi-hmr-changed";
let saves = 0;

/** Mark the panels of changed operations, once they are drawn. @param {{path: string, method: string}[]} operations */
function mark(operations) {
  for (const old of document.querySelectorAll(`[${MARK}]`)) {
    old.removeAttribute(MARK);
    if (old instanceof HTMLElement) old.style.outline = "";
  }
  const save = ++saves;
  const drawn = () => {
    if (save !== saves) return; // another has come meanwhile, with marks of its own
    for (const { path, method } of operations) {
      const label = document.querySelector(`.opblock-${method} [data-path="${CSS.escape(path)}"]`);
      const panel = label?.closest(".opblock");
      if (!(panel instanceof HTMLElement) || panel.hasAttribute(MARK)) continue;
      panel.setAttribute(MARK, "");
      panel.style.outline = "3px solid #e8710a";
    }
  };
  requestAnimationFrame(drawn);
  setTimeout(drawn, 300); // a new operation is drawn a little later
}

/** @param {Element} redoc */
async function refreshRedoc(redoc) {
  // @ts-ignore - declared by the page's bundle
  const { Redoc } = window;
  const url = redoc.getAttribute("spec-url");
  if (!Redoc?.init || !url) return false;
  const spec = parse(await load(url));
  if (!spec) return false;
  const { scrollX, scrollY } = window;
  await new Promise((resolve, reject) => Redoc.init(spec, {}, redoc, (/** @type {Error | null} */ error) => (error ? reject(error) : resolve(null))));
  scrollTo({ left: scrollX, top: scrollY, behavior: "instant" });
  return true;
}
