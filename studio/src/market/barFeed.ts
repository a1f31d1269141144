import { describeFailure, type Failure } from "../api/failure";
import { retryUntilAnswered } from "../api/retry";
import { CONNECTING, follow, type StreamState } from "../api/stream";
import { bars, history } from "../api/transport";
import type { Bar } from "../gen/venuemesh/bars/v1/bars_pb";
import { SortOrder } from "../gen/venuemesh/history/v1/history_pb";
import { FrameStore } from "../state/frameStore";
import { BarSeries } from "./barSeries";
import { barSlot, type Interval } from "./intervals";

const UPDATE_INTERVAL_MS = 200;
const PAGE_SIZE = 500;
/** At the first start, the venue's past candles arrive some seconds after the first bars. */
const RELOAD_MS = 5_000;
const RELOADS_MAX = 12;
const DAY: Interval = "1d";

/** A view that draws bars. */
export interface BarView {
  /** Draw these bars and no others. */
  showAll(bars: readonly Bar[]): void;
  /** Draw one bar that is new or has changed, at its index among all. */
  showOne(bar: Bar, index: number): void;
}

export interface HistoryState {
  readonly loading: boolean;
  /** True when there is nothing older to load, or no room for it. */
  readonly complete: boolean;
  readonly failure: Failure | undefined;
}

/** The bars of one instrument and interval: live ones from a stream, past ones page by page. */
export class BarFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  readonly past = new FrameStore<HistoryState>({
    loading: false,
    complete: false,
    failure: undefined,
  });
  /** The newest bar of the chart, and of the day (UTC). */
  readonly newest = new FrameStore<Bar | undefined>(undefined);
  readonly day = new FrameStore<Bar | undefined>(undefined);
  readonly #series = new BarSeries();
  #view: BarView | undefined;

  constructor(
    readonly venue: string,
    readonly symbol: string,
    readonly interval: Interval,
  ) {}

  /** Attaches a view. Returns a function that detaches it. */
  attach(view: BarView): () => void {
    this.#view = view;
    view.showAll(this.#series.bars);
    return () => {
      this.#view = undefined;
    };
  }

  /** Opens the stream and loads the newest page. Returns a function that stops both. */
  start(): () => void {
    let past = new AbortController();
    const loadNewest = () => {
      past.abort();
      past = new AbortController();
      void this.#loadNewest(past.signal);
    };
    const { venue, symbol, interval } = this;
    const intervals = [...new Set([interval, DAY])];
    const request = { venue, symbol, intervals, updateIntervalMs: UPDATE_INTERVAL_MS };
    const stop = follow((options) => bars.subscribe(request, options), {
      onMessage: (message) => {
        for (const bar of message.bars) this.#take(bar);
      },
      onState: (state) => {
        this.state.set(state);
        // Bars that became final while the stream was away are in the database. The first state is
        // "connecting": history does not wait for the stream.
        if (state.phase === "live" || state.phase === "connecting") loadNewest();
      },
    });
    let reloads = 0;
    const reloading = setInterval(() => {
      reloads += 1;
      if (reloads > RELOADS_MAX || this.#series.bars.length >= PAGE_SIZE) clearInterval(reloading);
      else if (!this.past.latest.loading) loadNewest();
    }, RELOAD_MS);
    return () => {
      stop();
      clearInterval(reloading);
      past.abort();
      this.state.set(CONNECTING);
    };
  }

  /** See BarSeries.find. */
  bar(slot: bigint): Bar | undefined {
    return this.#series.find(slot);
  }

  /** Loads the page before the oldest bar, unless it is loading or there is none. */
  async loadOlder(signal: AbortSignal): Promise<void> {
    const oldest = this.#series.bars[0];
    const { loading, complete } = this.past.latest;
    if (!oldest || loading || complete) return;
    try {
      // Bars of other kinds may open at the same time.
      await this.#loadPage(oldest.openTimeNs + 1n, signal);
    } catch (error) {
      if (!signal.aborted) this.#failPast(describeFailure(error));
    } finally {
      this.past.set({ ...this.past.latest, loading: false });
    }
  }

  async #loadNewest(signal: AbortSignal): Promise<void> {
    const known = this.#series.bars.at(-1);
    const page = await retryUntilAnswered(
      () => this.#loadPage(0n, signal),
      signal,
      (failure) => {
        this.#failPast(failure);
      },
    );
    // A page that does not reach the present bars would leave an unmarked hole.
    const oldest = page?.at(-1);
    if (!known || !oldest || barSlot(oldest) <= barSlot(known)) return;
    this.#series.dropBefore(barSlot(oldest));
    this.#view?.showAll(this.#series.bars);
  }

  /** Loads and shows the newest bars before a time (0: the newest of all). */
  async #loadPage(endTimeNs: bigint, signal: AbortSignal): Promise<readonly Bar[]> {
    const { venue, symbol, interval } = this;
    this.past.set({ ...this.past.latest, loading: true });
    const page = await history.listBars(
      {
        venue,
        symbol,
        interval,
        range: { endTimeNs },
        order: SortOrder.NEWEST_FIRST,
        pageSize: PAGE_SIZE,
        includeVenueCandles: true,
      },
      { signal },
    );
    if (this.#series.merge(page.bars)) this.#view?.showAll(this.#series.bars);
    this.newest.set(this.#series.bars.at(-1));
    const complete = page.nextPageToken === "" || this.#series.isFull;
    this.past.set({ loading: false, complete, failure: undefined });
    return page.bars;
  }

  #failPast(failure: Failure): void {
    this.past.set({ ...this.past.latest, loading: false, failure });
  }

  #take(bar: Bar): void {
    if (bar.interval === DAY) this.day.set(bar);
    if (bar.interval !== this.interval) return;
    const change = this.#series.put(bar);
    if (change === "all") this.#view?.showAll(this.#series.bars);
    else if (change !== "nothing") this.#view?.showOne(bar, change.index);
    this.newest.set(this.#series.bars.at(-1));
  }
}
