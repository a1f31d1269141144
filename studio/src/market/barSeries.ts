import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { barSlot } from "./intervals";

export const BARS_MAX = 20_000;
/** Bars dropped at once at the limit, so that this is rare. */
const BARS_DROPPED = 1_000;

/** What to draw: nothing, one bar (its index) or everything. */
export type BarChange = "nothing" | "all" | { readonly index: number };

/** The bars of one chart: by slot, each once, at most BARS_MAX, oldest dropped first. */
export class BarSeries {
  #bars: Bar[] = [];

  get bars(): readonly Bar[] {
    return this.#bars;
  }

  get isFull(): boolean {
    return this.#bars.length >= BARS_MAX - BARS_DROPPED;
  }

  dropBefore(slot: bigint): void {
    this.#bars = this.#bars.slice(this.#position(slot));
  }

  /** The current revision of a bar. */
  find(slot: bigint): Bar | undefined {
    const bar = this.#bars[this.#position(slot)];
    return bar && barSlot(bar) === slot ? bar : undefined;
  }

  /** Adds one live bar. An older revision changes nothing. */
  put(bar: Bar): BarChange {
    const slot = barSlot(bar);
    const newest = this.#bars.at(-1);
    if (!newest || slot > barSlot(newest)) {
      this.#bars.push(bar);
      return this.#trim() ? "all" : { index: this.#bars.length - 1 };
    }
    const index = this.#position(slot);
    const present = this.#bars[index];
    if (!present || barSlot(present) !== slot) {
      this.#bars.splice(index, 0, bar);
      return "all";
    }
    const progress = compareProgress(bar, present);
    if (progress < 0 || (progress === 0 && bar.coveredNs === present.coveredNs)) return "nothing";
    this.#bars[index] = bar;
    return bar.openTimeNs === present.openTimeNs ? { index } : "all";
  }

  /** Adds a page of history, in any order. Returns whether anything changed. */
  merge(page: readonly Bar[]): boolean {
    const bySlot = new Map(this.#bars.map((bar) => [barSlot(bar), bar]));
    let changed = false;
    for (const bar of page) {
      const slot = barSlot(bar);
      const present = bySlot.get(slot);
      if (present && !hasMore(bar, present)) continue;
      bySlot.set(slot, bar);
      changed = true;
    }
    if (!changed) return false;
    const sorted = [...bySlot].sort(([left], [right]) => (left < right ? -1 : 1));
    this.#bars = sorted.map(([, bar]) => bar);
    this.#trim();
    return true;
  }

  #trim(): boolean {
    if (this.#bars.length <= BARS_MAX) return false;
    this.#bars = this.#bars.slice(-(BARS_MAX - BARS_DROPPED));
    return true;
  }

  /** Index of the first bar at or after the slot. */
  #position(slot: bigint): number {
    let low = 0;
    let high = this.#bars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const bar = this.#bars[middle];
      if (bar && barSlot(bar) < slot) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A page may be older than the stream: of two equal bars, keep the one with more coverage. */
function hasMore(bar: Bar, present: Bar): boolean {
  const progress = compareProgress(bar, present);
  return progress > 0 || (progress === 0 && bar.coveredNs > present.coveredNs);
}

/** A bar only ever gains trades, then becomes final, then is amended. Above 0: `bar` is newer. */
function compareProgress(bar: Bar, present: Bar): number {
  if (bar.revision !== present.revision) return bar.revision - present.revision;
  if (bar.tradeCount !== present.tradeCount) return bar.tradeCount > present.tradeCount ? 1 : -1;
  return Number(bar.final) - Number(present.final);
}
