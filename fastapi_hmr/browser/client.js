// Keeps this page true to the code being served: hears of each save, then swaps, reloads or explains.
// A classic script without a build step, first in <head>, so that it runs before anything of the page's own.
(() => {
  "use strict";

  /** @typedef {import("./protocol").Report} Report @typedef {import("./protocol").Failure} Failure */
  /** @typedef {import("./protocol").Asset} Asset @typedef {import("./protocol").Message} Message */
  /** @typedef {{join(hear: (message: Message) => void): () => void}} Client */
  /** @typedef {Window & {__fastapi_hmr__?: Client, __fastapi_reloader_loaded?: boolean}} HmrWindow */

  const me = /** @type {HmrWindow} */ (window);
  me.__fastapi_reloader_loaded = true; // fastapi-reloader's own client stands back: one of us reloads
  const script = document.currentScript;
  if (me.__fastapi_hmr__ || !(script instanceof HTMLScriptElement)) return;

  const later = window.setTimeout; // before the page can wrap it
  const base = new URL(".", script.src);
  const posted = script.dataset.posted; // the result of a form: a reload would send that again
  const pageFailure = Number(script.dataset.failure);
  let pageId = script.dataset.id ?? "";
  let swapped = Number(script.dataset.swap);
  let reloading = false;
  let warned = false;
  let framed = false;
  /** @type {typeof import("./state.js") | undefined} */
  let keeper;

  /**
   * Parts that few pages need come when they do.
   * @typedef {{"overlay.js": typeof import("./overlay.js"), "swap.js": typeof import("./swap.js"),
   *   "docs.js": typeof import("./docs.js"), "state.js": typeof import("./state.js")}} Parts
   */
  /** @template {keyof Parts} K @param {K} name @returns {Promise<Parts[K]>} */
  const load = (name) => import(new URL(name + new URL(script.src).search, base).href);

  /** Say where we are, for tests and the curious. @param {string} state */
  const mark = (state) => document.documentElement?.setAttribute("data-fastapi-hmr", reloading ? "reloading" : state);

  /** @type {Set<(message: Message) => void>} */
  const frames = new Set();
  /** @type {Message | null} */
  let last = null;

  /** @param {Message} message */
  function hear(message) {
    last = message;
    apply(message);
    if (!reloading) for (const frame of frames) frame(message);
  }

  /** @param {Message} message */
  function apply(message) {
    switch (message.type) {
      case "hello":
        explain(message.failure);
        hint(message.raised);
        swap(null, message.swap);
        return arrive(message.id);
      case "stale":
        return arrive(message.id);
      case "reloaded":
        explain(null);
        hint(null);
        return arrive(message.id);
      case "failed":
        return explain(message.failure);
      case "raised":
        return hint(message.report);
      case "assets": {
        const ours = message.files.filter(concerns);
        if (pageId === message.was && ours.every((file) => file.swap)) {
          pageId = message.id;
          swap(ours.map((file) => file.name), message.swap);
        }
        return arrive(message.id);
      }
      case "ping":
        return;
      default: {
        /** @type {never} */
        const forgotten = message;
        return forgotten;
      }
    }
  }

  /** Paths of everything that this page has loaded, as the server sees them. @type {Set<string>} */
  const loaded = new Set();
  let legible = true;

  function watchLoads() {
    // An observer, since the browser's own list is short and pages may clear it.
    new PerformanceObserver((list) => {
      for (const { name } of list.getEntries()) {
        try {
          loaded.add(decodeURIComponent(new URL(name).pathname));
        } catch {
          legible = false;
        }
      }
    }).observe({ type: "resource", buffered: true });
  }

  /** Whether this page may be made of a file: it has loaded it, or that can't be known. @param {Asset} file */
  const concerns = ({ urls }) => !urls || !legible || urls.some((url) => loaded.has(url));

  /** The server serves `id`: is it what this page was made by? @param {string} id */
  function arrive(id) {
    if (id === pageId) {
      load("state.js").then((module) => (keeper = module)).catch(() => {}); // a reload need not wait for it then
      return mark("ready");
    }
    if (document.visibilityState === "hidden") return mark("stale");
    if (!document.querySelector("body > #swagger-ui, body > redoc")) return reload(id);
    docs = docs.then(() => refreshDocs(id)).catch(() => reload(id));
  }

  /** Reload, at most once for this URL, page and target: whatever comes back, this can't loop. @param {string} target */
  function reload(target) {
    if (reloading) return;
    if (posted) return tellStale();
    if (!remember(`${location.pathname}${location.search} ${pageId} ${target}`)) {
      mark("ready");
      if (warned) return;
      warned = true;
      const worker = navigator.serviceWorker?.controller ? ": a service worker answers from its cache" : "";
      console.warn(`[fastapi-hmr] the page is still the one from before the reload${worker}`);
      return;
    }
    reloading = true;
    mark("");
    later(() => {
      reloading = false; // the person may have chosen to stay on the page
      mark("stale");
    }, 5000);
    if (keeper) leaveWith(keeper);
    else load("state.js").then(leaveWith, () => location.reload());
  }

  /** @param {typeof import("./state.js")} keeper */
  function leaveWith(keeper) {
    try {
      keeper.save();
    } catch {
      // what can't be kept is no reason to stay
    }
    location.reload();
  }

  function tellStale() {
    mark("stale");
    withOverlay((module) => module.notice("The server has reloaded. This is the result of a form: reload it by hand to send that again."));
  }

  /** Whether `attempt` is new, now that it is noted. @param {string} attempt */
  function remember(attempt) {
    try {
      const known = /** @type {string[]} */ (JSON.parse(sessionStorage.getItem("fastapi-hmr:reloads") ?? "[]"));
      if (known.includes(attempt)) return false;
      sessionStorage.setItem("fastapi-hmr:reloads", JSON.stringify([...known.slice(-30), attempt]));
      return true;
    } catch {
      // No storage: a page that was reloaded just now and is still another one would be again, for ever.
      const [entry] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
      return entry?.type !== "reload" || performance.now() > 3000;
    }
  }

  /** @type {Promise<typeof import("./overlay.js")> | undefined} */
  let overlay;
  let shown = 0;
  let hinted = "null";

  /** @param {(module: typeof import("./overlay.js")) => void} use */
  function withOverlay(use) {
    overlay ??= load("overlay.js");
    overlay.then(use, (error) => {
      overlay = undefined;
      console.warn("[fastapi-hmr] can't show what went wrong here; the terminal has it:", error);
    });
  }

  /** Show a failed save, or close what the fix has fixed. @param {Failure | null} failure */
  function explain(failure) {
    const number = failure?.number ?? 0;
    if (document.querySelector("meta[name=fastapi-hmr][content=report]")) {
      if (number !== pageFailure && document.visibilityState === "visible") reload(`failure ${number}`);
    } else if (!framed && number !== shown) {
      shown = number;
      withOverlay((module) => number === shown && (failure ? module.show(failure.report) : module.close()));
    }
  }

  /** Say that a handler raised, in a corner; the overlay tells more on request. @param {Report | null} raised */
  function hint(raised) {
    const text = JSON.stringify(raised);
    if (framed || text === hinted) return;
    hinted = text;
    withOverlay((module) => text === hinted && module.hint(raised));
  }

  let docs = Promise.resolve();

  /** Hand the new openapi.json to the documentation in place. @param {string} id */
  async function refreshDocs(id) {
    if (id === pageId) return;
    const module = await load("docs.js");
    if (!(await module.refresh())) return reload(id);
    pageId = id;
    mark("ready");
  }

  /** Take in changed stylesheets and images; null: any may have changed. @param {string[] | null} names @param {number} count */
  async function swap(names, count, id = pageId) {
    if (count === swapped) return;
    swapped = count;
    if (names?.length === 0) return;
    const assets = await load("swap.js");
    // Not found is not unused: it may be imported by another stylesheet or written into the page.
    if (!assets.swap(names, count) && id === pageId) reload(`${id} swap ${count}`);
  }

  /** The client of the page that holds this frame, where that is ours too. @returns {Client | undefined} */
  function holder() {
    try {
      return window.top === window ? undefined : /** @type {HmrWindow} */ (window.top).__fastapi_hmr__;
    } catch {
      return undefined; // another origin's page
    }
  }

  const tabs = makeTabs(base, script.dataset.token ?? "", hear, mark);
  let leave = tabs.leave;

  function start() {
    stop(); // a page that thaws is told so twice
    const top = holder();
    framed = !!top;
    leave = top ? top.join(apply) : tabs.leave;
    if (!top) tabs.join(!!script?.dataset.now);
  }

  /** Into the back-forward cache, frozen, or gone: an open stream would keep the page out of that cache. */
  const stop = () => leave();

  me.__fastapi_hmr__ = {
    join(hear) {
      frames.add(hear);
      if (last) hear(last);
      return () => frames.delete(hear);
    },
  };
  addEventListener("pagehide", stop);
  document.addEventListener("freeze", stop);
  document.addEventListener("resume", start);
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    reloading = false;
    try {
      sessionStorage.removeItem("fastapi-hmr:reloads"); // a person came back to this page: it may try again
    } catch {
      // no storage, nothing noted
    }
    start();
  });
  try {
    if (sessionStorage.getItem("fastapi-hmr:state")) load("state.js").then((module) => module.restore());
  } catch {
    // no storage, nothing kept
  }
  watchLoads();
  start();
})();
