// Keeps this page true to the code being served: hears of each save, then swaps, reloads or explains.
// A classic script without a build step, first in <head>, so that it runs before anything of the page's own.
(() => {
  "use strict";

  /** @typedef {import("./protocol").Report} Report @typedef {import("./protocol").Failure} Failure */
  /** @typedef {import("./protocol").Asset} Asset @typedef {import("./protocol").Message} Message */
  /** @typedef {import("./protocol").Whisper} Whisper */
  /** @typedef {{join(hear: (message: Message) => void): () => void}} Client */
  /** @typedef {Window & {__fastapi_hmr__?: Client, __fastapi_reloader_loaded?: boolean}} HmrWindow */

  const me = /** @type {HmrWindow} */ (window);
  me.__fastapi_reloader_loaded = true; // fastapi-reloader's own client stands back: one of us reloads
  const script = document.currentScript;
  if (me.__fastapi_hmr__ || !(script instanceof HTMLScriptElement)) return;

  const RETRY = [250, 2000];
  const WATCHDOG = 35_000;
  const { fetch: ask, setTimeout: later, clearTimeout: never } = window; // before the page can wrap them
  const base = new URL(".", script.src);
  const token = script.dataset.token ?? "";
  const pageFailure = Number(script.dataset.failure);
  let pageId = script.dataset.id ?? "";
  let swapped = Number(script.dataset.swap);
  let reloading = false;
  let warned = false;
  let framed = false;

  /**
   * Parts that few pages need come when they do.
   * @typedef {{"overlay.js": typeof import("./overlay.js"), "swap.js": typeof import("./swap.js"),
   *   "docs.js": typeof import("./docs.js"), "state.js": typeof import("./state.js")}} Parts
   */
  /** @template {keyof Parts} K @param {K} name @returns {Promise<Parts[K]>} */
  const load = (name) => import(new URL(name + new URL(script.src).search, base).href);

  /** Say where we are, for tests and the curious. @param {string} state */
  const mark = (state) => document.documentElement?.setAttribute("data-fastapi-hmr", reloading ? "reloading" : state);

  /** @typedef {Pick<BroadcastChannel, "postMessage" | "close" | "onmessage">} Tabs @type {Tabs | null} */
  let tabs = null;
  let lead = 0; // our claim while we lead; the highest claim wins
  let highest = 0;
  /** @type {AbortController | null} */
  let stream = null;
  /** @type {number | undefined} */
  let watchdog;
  let delay = 0;
  let greeted = false; // since we listen
  /** @type {() => void} */
  let wake = () => {};

  /** @param {Whisper} whisper */
  const whisper = (whisper) => tabs?.postMessage(whisper);

  function takeLead() {
    stopLeading();
    lead = highest = Math.max(Date.now() + Math.random(), highest + 1);
    whisper({ front: lead });
    listen(lead);
  }

  function stopLeading() {
    lead = 0;
    stream?.abort();
    wake();
  }

  /** @param {MessageEvent<Whisper>} event */
  function onWhisper({ data }) {
    if (data.front) {
      highest = Math.max(highest, data.front);
      if (lead && data.front > lead) {
        lead = 0;
        if (greeted) stopLeading(); // else our own greeting comes first: the other tab has had its
      } else if (data.front < lead) whisper({ front: lead }); // by a clock that was set back
    }
    if (data.bye && !lead) claimSoon(Math.random() * 100);
    if (data.say && !lead) hear(data.say);
  }

  /** Nobody may be listening: whoever is visible and first takes over. @param {number} delay */
  function claimSoon(delay) {
    never(watchdog);
    watchdog = later(() => {
      if (lead) stream?.abort();
      else if (document.visibilityState === "visible" && tabs) takeLead();
    }, delay);
  }

  /** Stay connected for as long as this claim leads. @param {number} claim */
  async function listen(claim) {
    delay = RETRY[0];
    while (lead === claim) {
      mark("connecting");
      await connection().catch(() => {});
      if (lead !== claim) return;
      mark("lost");
      await new Promise((resolve) => {
        wake = () => resolve(null);
        later(resolve, delay * (0.75 + Math.random() / 2));
      });
      delay = Math.min(delay * 2, RETRY[1]);
    }
  }

  /** One connection, from its greeting to its end. */
  async function connection() {
    const mine = (stream = new AbortController());
    claimSoon(WATCHDOG);
    // Never the same URL twice: a service worker that answers from its cache has no such entry.
    const url = new URL(`events?token=${token}&t=${Date.now().toString(36)}`, base);
    const response = await ask(url, { signal: mine.signal, cache: "no-store", headers: { accept: "text/event-stream" } });
    const id = response.headers.get("x-fastapi-hmr-id");
    if (id) tell({ type: "stale", id }); // our token is another run's
    if (!response.ok || !response.body || !/^text\/event-stream/.test(response.headers.get("content-type") ?? "")) {
      return response.body?.cancel();
    }
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      claimSoon(WATCHDOG);
      delay = RETRY[0];
      const events = (text + part.value).split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) if (event.startsWith("data: ")) tell(JSON.parse(event.slice(6)));
      if (!lead && greeted) return mine.abort();
    }
  }

  /** @param {Message} message */
  function tell(message) {
    whisper({ say: message });
    hear(message);
  }

  /** @type {Set<(message: Message) => void>} */
  const frames = new Set();
  /** @type {Message | null} */
  let last = null;

  /** @param {Message} message */
  function hear(message) {
    claimSoon(WATCHDOG);
    if (message.type === "ping") return;
    last = message;
    apply(message);
    if (!reloading) for (const frame of frames) frame(message);
  }

  /** @param {Message} message */
  function apply(message) {
    switch (message.type) {
      case "hello":
        greeted = true;
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
      load("state.js").catch(() => {}); // a reload need not wait for it then
      return mark("ready");
    }
    if (document.visibilityState === "hidden") return mark("stale");
    if (!document.querySelector("body > #swagger-ui, body > redoc")) return reload(id);
    docs = docs.then(() => refreshDocs(id)).catch(() => reload(id));
  }

  /** Reload, at most once for this URL, page and target: whatever comes back, this can't loop. @param {string} target */
  function reload(target) {
    if (reloading) return;
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
    load("state.js").then((module) => module.save()).catch(() => {}).then(() => location.reload());
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

  /** @returns {Tabs} */
  function makeTabs() {
    try {
      return new BroadcastChannel("fastapi-hmr");
    } catch {
      return { postMessage() {}, close() {}, onmessage: null }; // storage is blocked: each tab for itself
    }
  }

  let leave = () => {};

  function start() {
    stop(); // a page that thaws is told so twice
    greeted = false;
    const top = holder();
    if (top) {
      framed = true;
      leave = top.join(apply);
      return;
    }
    tabs = makeTabs();
    tabs.onmessage = onWhisper;
    claimSoon(WATCHDOG);
    if (document.visibilityState !== "visible") mark("hidden");
    else if (script?.dataset.now) takeLead();
    else connectSoon();
  }

  /** Connect when the page has been painted, or soon: what it loads for itself comes first. */
  function connectSoon() {
    mark("connecting");
    let opened = tabs;
    const begin = () => {
      if (opened && opened === tabs) takeLead();
      opened = null;
    };
    requestAnimationFrame(() => later(begin));
    later(begin, 300); // out of sight there are no frames
  }

  /** Into the back-forward cache, frozen, or gone: an open stream would keep the page out of that cache. */
  function stop() {
    leave();
    never(watchdog);
    if (lead) whisper({ bye: lead });
    stopLeading();
    tabs?.close();
    tabs = null;
  }

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
  addEventListener("online", () => wake());
  document.addEventListener("visibilitychange", () => {
    // A new connection, even where there is one: it may have died while the machine slept, and a greeting shows
    // that the server is there to reload from.
    if (document.visibilityState === "visible" && tabs) takeLead();
  });
  try {
    if (sessionStorage.getItem("fastapi-hmr:state")) load("state.js").then((module) => module.restore());
  } catch {
    // no storage, nothing kept
  }
  watchLoads();
  start();
})();
