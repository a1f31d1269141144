import { retryUntilAnswered } from "../api/retry";
import { bars } from "../api/transport";
import { FrameStore } from "../state/frameStore";
import type { Interval } from "./intervals";

/** The intervals of an instrument's bars, requested once. */
export class IntervalList {
  /** Undefined until the first response. */
  readonly state = new FrameStore<readonly Interval[] | undefined>(undefined);

  constructor(
    readonly venue: string,
    readonly symbol: string,
  ) {}

  start(): () => void {
    const controller = new AbortController();
    if (this.state.latest === undefined) void this.#load(controller.signal);
    return () => {
      controller.abort();
    };
  }

  async #load(signal: AbortSignal): Promise<void> {
    const { venue, symbol } = this;
    const answer = await retryUntilAnswered(
      () => bars.listIntervals({ venue, symbol }, { signal }),
      signal,
      () => {
        // The chart shows why there are no bars. Time intervals are always available.
      },
    );
    if (answer) this.state.set(answer.intervals);
  }
}
