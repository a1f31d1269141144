import type { CallOptions } from "@connectrpc/connect";

import { describeFailure, type Failure, STREAM_ENDED } from "./failure";
import { delayMs, type Wait, waitMs } from "./retry";

/** The state of a stream. */
export type StreamState =
  | { readonly phase: "connecting" }
  | { readonly phase: "live" }
  /** Lost; retried after a delay. */
  | { readonly phase: "reconnecting"; readonly failure: Failure }
  /** Rejected; retried too, but the user should read the reason. */
  | { readonly phase: "error"; readonly failure: Failure };

export const CONNECTING: StreamState = { phase: "connecting" };
const LIVE: StreamState = { phase: "live" };

export interface StreamHandlers<Message> {
  readonly onMessage: (message: Message) => void;
  readonly onState: (state: StreamState) => void;
}

export type OpenStream<Message> = (options: CallOptions) => AsyncIterable<Message>;

/**
 * An accepted stream counts as live with its first message, or after this time:
 * a quiet market sends nothing, and some servers accept before they reject.
 */
const SETTLE_MS = 1_000;

/**
 * Keeps a server stream open: reopens it with growing delays whenever it ends.
 * Returns a function that stops it. No handler is called after that.
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
    let settling: ReturnType<typeof setTimeout> | undefined;
    const goLive = () => {
      clearTimeout(settling);
      if (!isLive && !stopped()) handlers.onState(LIVE);
      isLive = true;
    };
    const onHeader = () => {
      settling = setTimeout(goLive, SETTLE_MS);
    };
    try {
      for await (const message of open({ signal, onHeader })) {
        if (stopped()) return;
        goLive();
        // Only a message resets the delay: a server may close each stream at once.
        failures = 0;
        handlers.onMessage(message);
      }
    } catch (error) {
      failure = describeFailure(error);
    } finally {
      clearTimeout(settling);
    }
    if (stopped()) return;
    handlers.onState({ phase: failure.isRejected ? "error" : "reconnecting", failure });
    await wait(delayMs(failures, Math.random()), signal);
    failures += 1;
  }
}
