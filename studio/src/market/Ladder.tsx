import { memo } from "react";

import { useFrameStore } from "../state/frameStore";
import { Panel } from "../ui/Panel";
import type { Book, BookStatus } from "./book";
import { alignDecimals, formatScaled, ratioText, subtract } from "../ui/decimal";
import type { Precision } from "../instrument/instruments";
import { withUnit } from "../instrument/sizes";
import { type LadderRow, ladderRows, sideTotal } from "./ladderRows";
import type { MarketFeed } from "./marketFeed";

const STATES: Record<BookStatus, { readonly word: string; readonly text: string }> = {
  waiting: { word: "waiting", text: "Waiting for the first snapshot." },
  proven: { word: "proven", text: "Proven: every update since the snapshot is applied." },
  in_doubt: {
    word: "in doubt",
    text: "In doubt: an update is missing. Levels may be wrong until the next snapshot.",
  },
  stale: { word: "stale", text: "Stale: these are the last known levels." },
};

interface LadderProps {
  readonly feed: MarketFeed;
  readonly precision: Precision;
  /** Of sizes. */
  readonly unit: string;
}

/** The order book, twenty levels a side, with the sum of sizes as bars. */
export function Ladder({ feed, precision, unit }: LadderProps) {
  const book = useFrameStore(feed.book);
  const { word, text } = STATES[book.status];
  const full = Math.max(sideTotal(book.bids), sideTotal(book.asks));
  return (
    <Panel
      title="Order book"
      className="ladder"
      aside={
        <span className="book-state" data-testid="book-state" data-state={book.status} title={text}>
          {word}
        </span>
      }
    >
      <div className="ladder-head">
        <span>Price</span>
        <span title={unit}>{withUnit("Size", unit)}</span>
        <span title={unit}>{withUnit("Total", unit)}</span>
      </div>
      <div className="ladder-body" data-state={book.status}>
        <ol className="asks" aria-label="Asks">
          <LadderLines rows={ladderRows(book.asks, precision, full)} />
        </ol>
        <div className="ladder-middle" role="status">
          {book.status === "proven" ? <Spread book={book} precision={precision} /> : text}
        </div>
        <ol className="bids" aria-label="Bids">
          <LadderLines rows={ladderRows(book.bids, precision, full)} />
        </ol>
      </div>
    </Panel>
  );
}

/** The spread, and the share of each side in the displayed size. */
function Spread({ book, precision }: { book: Book; precision: Precision }) {
  const bid = book.bids[0]?.price;
  const ask = book.asks[0]?.price;
  if (!bid || !ask) return "One side is empty.";
  const spread = subtract(ask, bid);
  const bids = sideTotal(book.bids);
  const share = bids / (bids + sideTotal(book.asks));
  return (
    <>
      <span>
        Spread <em>{alignDecimals(formatScaled(spread), precision.price)}</em>
      </span>
      <span>{ratioText(spread, bid, 10_000n)} bp</span>
      <meter
        min={0}
        max={1}
        value={share}
        title={`Bids are ${(share * 100).toFixed(0)}% of the sizes shown`}
      />
    </>
  );
}

/** Rows stay and only their texts change, which is cheapest for the browser. */
function LadderLines({ rows }: { readonly rows: readonly LadderRow[] }) {
  return rows.map((row, index) => <LadderLine key={index} {...row} />);
}

const LadderLine = memo(function LadderLine({ price, size, total, depth }: LadderRow) {
  return (
    <li className="ladder-row" style={{ backgroundSize: `${(depth * 100).toFixed(1)}% 100%` }}>
      <span className="price">{price}</span>
      <span>{size}</span>
      <span>{total}</span>
    </li>
  );
});
