import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";

export const BARS_MAX = 20_000;
/** How many go at once when there are too many, so that it does not happen with every bar. */
const BARS_DROPPED = 1_000;

/** The bars of one chart: by open time, each once, at most BARS_MAX, oldest dropped first. */
export class BarSeries {
  #bars: Bar[] = [];

  get bars(): readonly Bar[] {
    return this.#bars;
  }

  get isFull(): boolean {
    return this.#bars.length >= BARS_MAX - BARS_DROPPED;
  }

  dropBefore(openTimeNs: bigint): void {
    this.#bars = this.#bars.slice(this.#position(openTimeNs));
  }

  find(openTimeNs: bigint): Bar | undefined {
    const bar = this.#bars[this.#position(openTimeNs)];
    return bar?.openTimeNs === openTimeNs ? bar : undefined;
  }

  /**
   * Takes one live bar. Tells what a chart has to do: draw the bar ("last" or "earlier"), draw
   * everything anew, or nothing because a newer state of the bar is there.
   */
  put(bar: Bar): "last" | "earlier" | "all" | "nothing" {
    const newest = this.#bars.at(-1);
    if (!newest || bar.openTimeNs > newest.openTimeNs) {
      this.#bars.push(bar);
      return this.#trim() ? "all" : "last";
    }
    const index = this.#position(bar.openTimeNs);
    const present = this.#bars[index];
    if (present?.openTimeNs !== bar.openTimeNs) {
      this.#bars.splice(index, 0, bar);
      return "all";
    }
    if (!isNewer(bar, present)) return "nothing";
    this.#bars[index] = bar;
    return present === newest ? "last" : "earlier";
  }

  /** Takes a page of history, in any order. Tells whether anything changed. */
  merge(page: readonly Bar[]): boolean {
    const byTime = new Map(this.#bars.map((bar) => [bar.openTimeNs, bar]));
    let changed = false;
    for (const bar of page) {
      const present = byTime.get(bar.openTimeNs);
      if (present && !isNewer(bar, present)) continue;
      byTime.set(bar.openTimeNs, bar);
      changed = true;
    }
    if (!changed) return false;
    this.#bars = [...byTime.values()].sort((a, b) => (a.openTimeNs < b.openTimeNs ? -1 : 1));
    this.#trim();
    return true;
  }

  #trim(): boolean {
    if (this.#bars.length <= BARS_MAX) return false;
    this.#bars = this.#bars.slice(-(BARS_MAX - BARS_DROPPED));
    return true;
  }

  /** Index of the first bar that opens at or after the time. */
  #position(openTimeNs: bigint): number {
    let low = 0;
    let high = this.#bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const bar = this.#bars[middle];
      if (bar && bar.openTimeNs < openTimeNs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A bar only ever gains trades, then becomes final, then is amended by late trades. */
function isNewer(bar: Bar, present: Bar): boolean {
  if (bar.tradeCount !== present.tradeCount) return bar.tradeCount > present.tradeCount;
  if (bar.revision !== present.revision) return bar.revision > present.revision;
  return bar.final && !present.final;
}
