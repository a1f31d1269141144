import type { Failure } from "../api/failure";
import { retryUntilAnswered } from "../api/retry";
import { marketData, toVenue } from "../api/transport";
import type { Instrument } from "../gen/venuemesh/common/v1/types_pb";
import { FrameStore } from "../state/frameStore";
import type { Polled } from "../state/poll";
import { decimalPlaces } from "../ui/decimal";

const PAGE_SIZE = 1_000;
/** More than any venue lists. */
const INSTRUMENTS_MAX = 20_000;

export interface Instruments {
  readonly list: readonly Instrument[];
  readonly complete: boolean;
  readonly failure: Failure | undefined;
}

/** How many decimals an instrument's prices and sizes are shown with. */
export interface Precision {
  readonly price: number;
  readonly size: number;
}

/** All instruments of a venue, loaded page by page. */
export class InstrumentList {
  readonly state = new FrameStore<Instruments>({ list: [], complete: false, failure: undefined });

  constructor(readonly venue: string) {}

  start(): () => void {
    const controller = new AbortController();
    if (!this.state.latest.complete) void this.#load(controller.signal);
    return () => {
      controller.abort();
    };
  }

  async #load(signal: AbortSignal): Promise<void> {
    let list: readonly Instrument[] = [];
    let pageToken = "";
    do {
      const request = { venue: this.venue, pageSize: PAGE_SIZE, pageToken };
      const page = await retryUntilAnswered(
        () => marketData.listInstruments(request, toVenue(this.venue, signal)),
        signal,
        (failure) => {
          this.state.set({ ...this.state.latest, failure });
        },
      );
      if (!page) return;
      list = [...list, ...page.instruments];
      pageToken = page.nextPageToken;
      const complete = pageToken === "" || list.length >= INSTRUMENTS_MAX;
      this.state.set({ list, complete, failure: undefined });
    } while (!this.state.latest.complete);
  }
}

/** Without an instrument, trailing zeros are dropped. */
export function precisionOf(instrument: Instrument | undefined): Precision {
  return {
    price: decimalPlaces(instrument?.priceTick ?? ""),
    size: decimalPlaces(instrument?.sizeStep ?? ""),
  };
}

/**
 * Instruments that match a text, best match first: the symbol itself, then
 * subscribed ones, then those that begin with the text, then those that contain it.
 */
export function searchInstruments(
  list: readonly Instrument[],
  text: string,
  streamed: ReadonlySet<string>,
): readonly Instrument[] {
  const wanted = searchable(text);
  const rank = (instrument: Instrument): number => {
    const symbol = searchable(instrument.symbol);
    if (symbol === wanted) return 0;
    if (streamed.has(instrument.symbol)) return 1;
    return symbol.startsWith(wanted) ? 2 : 3;
  };
  return list
    .filter(
      ({ symbol, unifiedSymbol }) =>
        searchable(symbol).includes(wanted) || searchable(unifiedSymbol).includes(wanted),
    )
    .map((instrument) => ({ instrument, rank: rank(instrument) }))
    .sort((left, right) => left.rank - right.rank)
    .map(({ instrument }) => instrument);
}

/** Subscribed instruments first, because they have data; then all listed ones. */
export function firstSymbol(
  instruments: Instruments,
  streamed: Polled<ReadonlySet<string>>,
): string {
  const [first] = streamed.value ?? [];
  if (first !== undefined) return first;
  return streamed.value || streamed.failure ? (instruments.list[0]?.symbol ?? "") : "";
}

/** "BTC/USDT" and "btc-usdt" are equal in a search. */
function searchable(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9]/g, "");
}
