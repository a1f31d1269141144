import type { MarketDataBatch } from "../gen/venuemesh/marketdata/v1/batch_pb";
import type { Trade } from "../gen/venuemesh/marketdata/v1/market_data_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { parseDecimal, type Scaled } from "../ui/decimal";

export const TAPE_ROWS_MAX = 100;

export interface TapeRow {
  /** Unique within the tape. */
  readonly key: string;
  /** The venue's trade id; empty when it has none. */
  readonly id: string;
  readonly price: Scaled;
  readonly size: Scaled;
  readonly side: Side;
  readonly venueTimeNs: bigint;
}

/** The newest trades, newest first, at most TAPE_ROWS_MAX. */
export interface Tape {
  readonly rows: readonly TapeRow[];
  /** Trades that came over the live stream since the tape was opened. */
  readonly liveCount: number;
}

export const NO_TRADES: Tape = { rows: [], liveCount: 0 };

/** The tape after a batch of the TRADES channel. */
export function applyTradeBatch(tape: Tape, batch: MarketDataBatch, symbol: string): Tape {
  if (batch.columns.case !== "trades") return tape;
  const columns = batch.columns.value;
  const rows: TapeRow[] = [];
  let count = 0;
  for (let row = columns.instrument.length - 1; row >= 0; row--) {
    const instrument = batch.instruments[columns.instrument[row] ?? -1];
    if (instrument?.symbol !== symbol) continue;
    count += 1;
    if (rows.length === TAPE_ROWS_MAX) continue;
    const number = columns.tradeId[row] ?? 0n;
    rows.push({
      key: `live-${tape.liveCount}-${row}`,
      id: columns.tradeIdText[row] ?? (number === 0n ? "" : number.toString()),
      price: { value: columns.price[row] ?? 0n, scale: instrument.priceScale },
      size: { value: columns.size[row] ?? 0n, scale: instrument.sizeScale },
      side: columns.side[row] ?? Side.UNSPECIFIED,
      venueTimeNs: columns.venueTimeNs[row] ?? 0n,
    });
  }
  if (count === 0) return tape;
  return {
    rows: [...rows, ...tape.rows].slice(0, TAPE_ROWS_MAX),
    liveCount: tape.liveCount + count,
  };
}

/** Adds recorded trades (newest first) below the live trades. */
export function fillTape(tape: Tape, recorded: readonly Trade[]): Tape {
  const known = new Set(tape.rows.map(identity));
  const older = recorded.map(recordedRow).filter((row) => !known.has(identity(row)));
  const rows = [...tape.rows, ...older].sort((left, right) =>
    left.venueTimeNs === right.venueTimeNs ? 0 : left.venueTimeNs < right.venueTimeNs ? 1 : -1,
  );
  return { ...tape, rows: rows.slice(0, TAPE_ROWS_MAX) };
}

function recordedRow(trade: Trade, index: number): TapeRow {
  return {
    key: `recorded-${trade.tradeId}-${trade.venueTimeNs}-${index}`,
    id: trade.tradeId,
    price: parseDecimal(trade.price),
    size: parseDecimal(trade.size),
    side: trade.side,
    venueTimeNs: trade.venueTimeNs,
  };
}

function identity(row: TapeRow): string {
  return row.id || `${row.venueTimeNs}/${row.price.value}/${row.size.value}`;
}
