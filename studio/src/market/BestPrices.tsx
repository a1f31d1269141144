import { useFrameStore } from "../state/frameStore";
import type { BookStatus } from "./book";
import { alignDecimals, formatScaled, ratioText, type Scaled, subtract } from "../ui/decimal";
import type { Precision } from "../instrument/instruments";
import { shortUnit } from "../instrument/sizes";
import type { MarketFeed } from "./marketFeed";
import { bestStatus } from "./quote";
import { Stat } from "../ui/Stat";

const DOUBTS: Record<BookStatus, string> = {
  waiting: "waiting for a proven book",
  proven: "",
  in_doubt: "in doubt",
  stale: "stale",
};

interface BestPricesProps {
  readonly feed: MarketFeed;
  readonly precision: Precision;
  /** Of sizes. */
  readonly unit: string;
}

/** Best bid, best ask and spread, marked if they are not proven. */
export function BestPrices({ feed, precision, unit }: BestPricesProps) {
  const quote = useFrameStore(feed.quote);
  const status = bestStatus(quote, useFrameStore(feed.book));
  const known = quote.status !== "waiting";
  const price = (value: Scaled) => alignDecimals(formatScaled(value), precision.price);
  const size = (value: Scaled) =>
    `${alignDecimals(formatScaled(value), precision.size)} ${shortUnit(unit)}`;
  const spread = subtract(quote.ask, quote.bid);
  return (
    <div className="best-prices" data-state={status}>
      <Best
        name="bid"
        price={known ? price(quote.bid) : "—"}
        size={known ? size(quote.bidSize) : ""}
        status={status}
      />
      <Best
        name="ask"
        price={known ? price(quote.ask) : "—"}
        size={known ? size(quote.askSize) : ""}
        status={status}
      />
      {known && status === "proven" && (
        <Stat
          label="Spread"
          value={price(spread)}
          title={`${ratioText(spread, quote.bid, 10_000n)} basis points`}
        />
      )}
      {status !== "proven" && <span className="doubt-mark">{DOUBTS[status]}</span>}
    </div>
  );
}

interface BestProps {
  readonly name: "bid" | "ask";
  readonly price: string;
  readonly size: string;
  readonly status: BookStatus;
}

function Best({ name, price, size, status }: BestProps) {
  return (
    <div className={`stat best-${name}`} title={DOUBTS[status]}>
      <span className="stat-label">
        {name} <span className="stat-size">{size}</span>
      </span>
      <span className="stat-value" data-testid={`best-${name}`} data-state={status}>
        {price}
      </span>
    </div>
  );
}
