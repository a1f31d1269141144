import { retryUntilAnswered } from "../api/retry";
import { CONNECTING, follow, type StreamState } from "../api/stream";
import { history, live } from "../api/transport";
import { Channel } from "../gen/venuemesh/common/v1/types_pb";
import { SortOrder } from "../gen/venuemesh/history/v1/history_pb";
import type { SubscribeResponse } from "../gen/venuemesh/live/v1/live_pb";
import { FrameStore } from "../state/frameStore";
import { applyBookBatch, loseBook, NO_BOOK } from "./book";
import { addNotices, type GapNotice, gapNotice } from "./gaps";
import { applyQuoteBatch, loseQuote, NO_QUOTE } from "./quote";
import { applyTradeBatch, fillTape, NO_TRADES, TAPE_ROWS_MAX } from "./tape";

const CONFLATION_MS = 100;
const BOOK_DEPTH = 20;
/** How far back the gap list looks when the page opens. */
const GAPS_SINCE_MS = 3_600_000;

/** Trades, best prices, book and gaps of one instrument, from one live stream. */
export class MarketFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  readonly tape = new FrameStore(NO_TRADES);
  readonly quote = new FrameStore(NO_QUOTE);
  readonly book = new FrameStore(NO_BOOK);
  readonly gaps = new FrameStore<readonly GapNotice[]>([]);
  /** Whether the gap list holds what was recorded before the page was opened. */
  readonly pastKnown = new FrameStore(false);
  /** Time of the newest message by this computer's clock, ms. 0: none yet. */
  messageTimeMs = 0;

  constructor(
    readonly venue: string,
    readonly symbol: string,
  ) {}

  /** Opens the stream. Returns a function that closes it. */
  start(): () => void {
    let past = new AbortController();
    const stop = follow((options) => live.subscribe(this.#request(), options), {
      onMessage: (message) => {
        this.#apply(message);
      },
      onState: (state) => {
        past.abort();
        past = new AbortController();
        this.#changeState(state);
        if (state.phase === "live") void this.#loadPast(past.signal);
      },
    });
    return () => {
      stop();
      past.abort();
      this.#changeState(CONNECTING);
    };
  }

  /**
   * Marks quote and book as stale until new ones arrive: while the stream or the
   * venue is away, they may change unnoticed.
   */
  markStale(): void {
    this.quote.set(loseQuote(this.quote.latest));
    this.book.set(loseBook(this.book.latest));
  }

  #request() {
    const { venue, symbol } = this;
    const channels = [Channel.TRADES, Channel.QUOTES, Channel.BOOK];
    return {
      selectors: [{ venue, channels, symbols: [symbol] }],
      delivery: {
        mode: {
          case: "conflated" as const,
          value: { intervalMs: CONFLATION_MS, bookDepth: BOOK_DEPTH },
        },
      },
    };
  }

  #changeState(state: StreamState): void {
    this.state.set(state);
    if (state.phase !== "live") this.markStale();
  }

  #apply(message: SubscribeResponse): void {
    this.messageTimeMs = Date.now();
    for (const batch of message.batches) {
      if (batch.venue !== this.venue) continue;
      this.tape.set(applyTradeBatch(this.tape.latest, batch, this.symbol));
      if (batch.channel === Channel.QUOTES) {
        this.quote.set(applyQuoteBatch(this.quote.latest, batch, this.symbol));
      }
      if (batch.channel === Channel.BOOK) {
        this.book.set(applyBookBatch(this.book.latest, batch, this.symbol));
      }
      const notices = batch.gaps.map((gap) => gapNotice(batch.channel, gap));
      this.gaps.set(addNotices(this.gaps.latest, notices));
    }
  }

  /** Loads recorded trades and gaps in the background. */
  async #loadPast(signal: AbortSignal): Promise<void> {
    const { venue, symbol } = this;
    const startTimeNs = BigInt(Date.now() - GAPS_SINCE_MS) * 1_000_000n;
    const newest = { venue, symbol, order: SortOrder.NEWEST_FIRST, pageSize: TAPE_ROWS_MAX };
    const past = await retryUntilAnswered(
      () =>
        Promise.all([
          history.listTrades(newest, { signal }),
          history.listGaps({ venue, symbol, range: { startTimeNs } }, { signal }),
        ]),
      signal,
      () => {
        this.pastKnown.set(false);
      },
    );
    if (!past) return;
    const [{ trades }, { gaps }] = past;
    this.tape.set(fillTape(this.tape.latest, trades));
    const notices = gaps.flatMap(({ channel, gap }) => (gap ? [gapNotice(channel, gap)] : []));
    this.gaps.set(addNotices(this.gaps.latest, notices));
    this.pastKnown.set(true);
  }
}
