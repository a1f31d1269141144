import { untilAnswered } from "../api/patience";
import { bars } from "../api/transport";
import { FrameStore } from "../state/frameStore";
import type { Interval } from "./intervals";

/** What bars are made of an instrument, asked once. */
export class IntervalList {
  /** Undefined until the aggregator has answered. */
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
    const answer = await untilAnswered(
      () => bars.listIntervals({ venue, symbol }, { signal }),
      signal,
      () => {
        // The chart says why there are no bars; the intervals of time are known without.
      },
    );
    if (answer) this.state.set(answer.intervals);
  }
}
