import { describeFailure, type Failure } from "../api/failure";
import { waitMs } from "../api/patience";
import { CONNECTING, type StreamState } from "../api/stream";
import { FrameStore } from "./frameStore";

export interface Polled<Value> {
  /** The newest answer; kept when a later call fails. */
  readonly value: Value | undefined;
  /** Why the newest call failed. */
  readonly failure: Failure | undefined;
}

const LIVE: StreamState = { phase: "live" };

/** Whether what is polled is current, as for a stream. */
export function polledState({ value, failure }: Polled<unknown>): StreamState {
  if (failure) return { phase: failure.refused ? "error" : "reconnecting", failure };
  return value === undefined ? CONNECTING : LIVE;
}

/** Asks again and again, with a pause between an answer and the next question. */
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

  /** Asks again at once: what is known is out of date. An answer under way does not count. */
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
