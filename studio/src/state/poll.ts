import { describeFailure, type Failure } from "../api/failure";
import { waitMs } from "../api/retry";
import { CONNECTING, type StreamState } from "../api/stream";
import { FrameStore } from "./frameStore";

export interface Polled<Value> {
  /** The newest response; kept when a later call fails. */
  readonly value: Value | undefined;
  /** Why the newest call failed. */
  readonly failure: Failure | undefined;
}

const LIVE: StreamState = { phase: "live" };

/** The state of a poll, as for a stream. */
export function polledState({ value, failure }: Polled<unknown>): StreamState {
  if (failure) return { phase: failure.isRejected ? "error" : "reconnecting", failure };
  return value === undefined ? CONNECTING : LIVE;
}

/** Repeats a call, with a delay after each response. */
export class Poll<Value> {
  readonly state = new FrameStore<Polled<Value>>({ value: undefined, failure: undefined });
  readonly #ask: (signal: AbortSignal) => Promise<Value>;
  readonly #pauseMs: number;
  #hurry = new AbortController();

  constructor(ask: (signal: AbortSignal) => Promise<Value>, pauseMs: number) {
    this.#ask = ask;
    this.#pauseMs = pauseMs;
  }

  start(): () => void {
    const controller = new AbortController();
    void this.#run(controller.signal);
    return () => {
      controller.abort();
    };
  }

  /** Repeats the call at once because the value is outdated. Ignores a pending response. */
  refresh(): void {
    this.#hurry.abort();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#hurry = new AbortController();
      const pauseEnd = AbortSignal.any([signal, this.#hurry.signal]);
      await this.#once(signal);
      await waitMs(this.#pauseMs, pauseEnd);
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    try {
      const value = await this.#ask(signal);
      if (!signal.aborted) this.state.set({ value, failure: undefined });
    } catch (error) {
      if (signal.aborted) return;
      this.state.set({ value: this.state.latest.value, failure: describeFailure(error) });
    }
  }
}
