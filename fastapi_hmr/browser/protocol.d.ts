// What the server tells pages, and what tabs of one browser tell each other. Types only: nothing of it is served.

export type Report = import("./overlay.js").Report;

export type Failure = { number: number; report: Report };

/** A changed file: whether pages can take it in without a reload, and at which paths they load it (null: any may use it). */
export type Asset = { name: string; swap: boolean; urls: string[] | null };

/** What the server says. `id` names what it serves, `swap` counts assets that need no reload. */
export type Message =
  | { type: "hello"; id: string; swap: number; failure: Failure | null; raised: Report | null }
  | { type: "stale"; id: string }
  | { type: "reloaded"; id: string }
  | { type: "failed"; failure: Failure }
  | { type: "raised"; report: Report }
  | { type: "assets"; was: string; id: string; swap: number; files: Asset[] }
  | { type: "ping" };

/** Who leads (and holds the lock that says so), who leaves, and what the leader heard. */
export type Whisper = { front?: number; held?: boolean; bye?: number; say?: Message };
