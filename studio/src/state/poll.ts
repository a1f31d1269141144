import { describeFailure, type Failure } from "../api/failure";
import { FrameStore } from "./frameStore";

export interface Polled<Value> {
  /** The newest answer; kept when a later call fails. */
  readonly value: Value | undefined;
  /** Why the newest call failed. */
  readonly failure: Failure | undefined;
}

/** Asks again and again, with a pause between an answer and the next question. */
export class Poll<Value> {
  readonly state = new FrameStore<Polled<Value>>({ value: undefined, failure: undefined });
  readonly #ask: (signal: AbortSignal) => Promise<Value>;
  readonly #pauseMs: number;

  constructor(ask: (signal: AbortSignal) => Promise<Value>, pauseMs: number) {
    this.#ask = ask;
    this.#pauseMs = pauseMs;
  }

  start(): () => void {
    const controller = new AbortController();
    let timer: number | undefined;
    const round = async () => {
      await this.#once(controller.signal);
      if (!controller.signal.aborted) timer = window.setTimeout(() => void round(), this.#pauseMs);
    };
    void round();
    return () => {
      controller.abort();
      window.clearTimeout(timer);
    };
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
