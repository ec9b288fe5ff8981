// One connection for all tabs of a browser: one of them leads, listens, and tells the others what it hears.
// Served as a part of client.js: no page needs one without the other.

/**
 * @param {URL} base @param {string} token
 * @param {(message: import("./protocol").Message) => void} hear What the server says is told to this tab too.
 * @param {(state: string) => void} mark Where we are.
 */
function makeTabs(base, token, hear, mark) {
  "use strict";
  /** @typedef {import("./protocol").Message} Message @typedef {import("./protocol").Whisper} Whisper */
  /** @typedef {Pick<BroadcastChannel, "postMessage" | "close" | "onmessage">} Channel */

  const RETRY = [250, 2000];
  const WATCHDOG = 35_000;
  const { fetch: ask, setTimeout: later, clearTimeout: never } = window; // before the page can wrap them
  /** @type {Channel | null} */
  let channel = null;
  let lead = 0; // our claim while we lead; the highest claim wins
  let highest = 0;
  let held = false; // the lock of our claim
  /** @type {AbortController | null} */
  let stream = null;
  /** @type {AbortController | null} */
  let locks = null;
  /** @type {number | undefined} */
  let watchdog;
  let delay = 0;
  let greeted = false; // since we listen
  /** @type {() => void} */
  let wake = () => {};

  /** @param {Whisper} whisper */
  const whisper = (whisper) => channel?.postMessage(whisper);

  function takeLead() {
    stopLeading();
    lead = highest = Math.max(Date.now() + Math.random(), highest + 1);
    whisper({ front: lead });
    hold(lead);
    listen(lead);
  }

  function stopLeading() {
    lead = 0;
    held = false;
    stream?.abort();
    locks?.abort();
    wake();
  }

  /**
   * A lock for as long as this claim leads: the browser takes it from a tab that crashes, and so tells the others.
   * There are none where the page is no secure context. @param {number} claim
   */
  function hold(claim) {
    const { signal } = (locks = new AbortController());
    lock(claim, { signal }, () => {
      held = true;
      whisper({ front: claim, held });
      return new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
  }

  /** Hear of its end. @param {number} claim */
  function follow(claim) {
    locks?.abort();
    const { signal } = (locks = new AbortController());
    lock(claim, { signal, mode: "shared" }, () => {
      if (!signal.aborted && !lead && claim === highest) claimSoon(Math.random() * 100);
    });
  }

  /** @param {number} claim @param {LockOptions} options @param {() => unknown} granted */
  const lock = (claim, options, granted) =>
    navigator.locks?.request(`fastapi-hmr ${claim}`, options, granted).catch(() => {});

  /** @param {MessageEvent<Whisper>} event */
  function onWhisper({ data }) {
    if (data.front) {
      highest = Math.max(highest, data.front);
      if (lead && data.front > lead) {
        lead = 0;
        if (greeted) stopLeading(); // else our own greeting comes first: the other tab has had its
      } else if (data.front < lead) whisper({ front: lead, held }); // by a clock that was set back
      else if (data.held && data.front === highest && !lead) follow(data.front);
    }
    if (data.bye && !lead) claimSoon(Math.random() * 100);
    if (data.say && !lead) receive(data.say);
  }

  /** Nobody may be listening: whoever is visible and first takes over. @param {number} delay */
  function claimSoon(delay) {
    never(watchdog);
    watchdog = later(() => {
      if (lead) stream?.abort();
      else if (document.visibilityState === "visible" && channel) takeLead();
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
    receive(message);
  }

  /** @param {Message} message */
  function receive(message) {
    claimSoon(WATCHDOG);
    greeted ||= message.type === "hello";
    if (message.type !== "ping") hear(message);
  }

  /** @returns {Channel} */
  function makeChannel() {
    try {
      return new BroadcastChannel("fastapi-hmr");
    } catch {
      return { postMessage() {}, close() {}, onmessage: null }; // storage is blocked: each tab for itself
    }
  }

  /** Join the others, and lead: at once, or soon. @param {boolean} now */
  function join(now) {
    greeted = false;
    channel = makeChannel();
    channel.onmessage = onWhisper;
    claimSoon(WATCHDOG);
    if (document.visibilityState !== "visible") mark("hidden");
    else if (now) takeLead();
    else connectSoon();
  }

  /** Connect when the page has been painted, or soon: what it loads for itself comes first. */
  function connectSoon() {
    mark("connecting");
    let opened = channel;
    const begin = () => {
      if (opened && opened === channel) takeLead();
      opened = null;
    };
    requestAnimationFrame(() => later(begin));
    later(begin, 300); // out of sight there are no frames
  }

  function leave() {
    never(watchdog);
    if (lead) whisper({ bye: lead });
    stopLeading();
    channel?.close();
    channel = null;
  }

  addEventListener("online", () => wake());
  document.addEventListener("visibilitychange", () => {
    // A new connection, even where there is one: it may have died while the machine slept, and a greeting shows
    // that the server is there to reload from.
    if (document.visibilityState === "visible" && channel) takeLead();
  });
  return { join, leave };
}
