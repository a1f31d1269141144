import type { Profit } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { sumText } from "../ui/decimal";

/** The parts of a profit. A loss is negative. Exact decimal text. */
export interface ProfitParts {
  readonly realized: string;
  readonly fees: string;
  readonly funding: string;
  /** Undefined: not known, because a price is not. */
  readonly unrealized: string | undefined;
  /** All parts together. Undefined: not known. */
  readonly net: string | undefined;
  /** Symbols of the positions whose price is not known. */
  readonly unpriced: readonly string[];
}

/** The profits of one asset added up. */
export function addProfits(profits: readonly Profit[]): ProfitParts {
  const realized = sumText(profits.map((profit) => profit.realized));
  const fees = sumText(profits.map((profit) => profit.fees));
  const funding = sumText(profits.map((profit) => profit.funding));
  const isKnown = profits.every((profit) => profit.unrealized !== "");
  const unrealized = isKnown ? sumText(profits.map((profit) => profit.unrealized)) : undefined;
  return {
    realized,
    fees,
    funding,
    unrealized,
    net: unrealized === undefined ? undefined : sumText([realized, fees, funding, unrealized]),
    unpriced: [...new Set(profits.flatMap(({ unpricedSymbols }) => unpricedSymbols))].sort(),
  };
}

/** "no price for BTCUSDT, ETHUSDT"; empty if all prices are known. */
export function unpricedText({ unpriced }: ProfitParts): string {
  return unpriced.length === 0 ? "" : `no price for ${unpriced.join(", ")}`;
}

/** Of whom a profit is: "ema_cross", "binance/demo", "BTCUSDT". */
export function ownerText(grouping: Grouping, profit: Profit): string {
  const { venue, account, strategy, symbol } = profit;
  const name = strategy === "" ? "no strategy" : strategy;
  if (grouping === "strategy") return name;
  const place = `${venue}/${account}`;
  if (grouping === "account") return place;
  return [symbol === "" ? "no instrument" : symbol, name, place].join(" · ");
}

/** What profits are told apart by. */
export type Grouping = "strategy" | "account" | "position";

export const GROUPINGS: readonly Grouping[] = ["strategy", "account", "position"];
