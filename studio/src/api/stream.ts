import type { CallOptions } from "@connectrpc/connect";

import { describeFailure, type Failure, STREAM_ENDED } from "./failure";

/** Where a stream stands. */
export type StreamState =
  | { readonly phase: "connecting" }
  | { readonly phase: "live" }
  /** Lost; tried again after a short while. */
  | { readonly phase: "reconnecting"; readonly failure: Failure }
  /** Refused; tried again too, but a person should look at the reason. */
  | { readonly phase: "error"; readonly failure: Failure };

export const CONNECTING: StreamState = { phase: "connecting" };
const LIVE: StreamState = { phase: "live" };

export interface StreamHandlers<Message> {
  readonly onMessage: (message: Message) => void;
  readonly onState: (state: StreamState) => void;
}

export type OpenStream<Message> = (options: CallOptions) => AsyncIterable<Message>;
export type Wait = (delayMs: number, signal: AbortSignal) => Promise<void>;

const DELAY_FIRST_MS = 500;
const DELAY_MAX_MS = 10_000;

/**
 * Keeps a server stream open: opens it, and opens it again with growing delays whenever it ends.
 * Returns what stops it. After that no handler is called.
 */
export function follow<Message>(
  open: OpenStream<Message>,
  handlers: StreamHandlers<Message>,
  wait: Wait = waitMs,
): () => void {
  const controller = new AbortController();
  void run(open, handlers, wait, controller.signal);
  return () => {
    controller.abort();
  };
}

async function run<Message>(
  open: OpenStream<Message>,
  handlers: StreamHandlers<Message>,
  wait: Wait,
  signal: AbortSignal,
): Promise<void> {
  const stopped = () => signal.aborted;
  let failures = 0;
  handlers.onState(CONNECTING);
  while (!stopped()) {
    let failure = STREAM_ENDED;
    let isLive = false;
    const goLive = () => {
      if (!isLive && !stopped()) handlers.onState(LIVE);
      isLive = true;
    };
    try {
      for await (const message of open({ signal, onHeader: goLive })) {
        if (stopped()) return;
        goLive();
        // Only a message proves that it works: a server that accepts and hangs up is backed off from.
        failures = 0;
        handlers.onMessage(message);
      }
    } catch (error) {
      failure = describeFailure(error);
    }
    if (stopped()) return;
    handlers.onState({ phase: failure.refused ? "error" : "reconnecting", failure });
    await wait(delayMs(failures, Math.random()), signal);
    failures += 1;
  }
}

/** Doubles from half a second to ten, of which `jitter` (0 to 1) takes off up to a half. */
export function delayMs(failures: number, jitter: number): number {
  const full = Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** Math.min(failures, 10));
  return full * (1 - jitter / 2);
}

function waitMs(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done);
  });
}
