import type { GetEquityHistoryResponse } from "../gen/venuemesh/ledger/v1/equity_pb";
import type { Profit } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { signOf } from "../ui/decimal";

/** The assets of the page: those in which a profit is, then those that are held. */
export function assetsOf(
  profits: readonly Profit[] | undefined,
  history: GetEquityHistoryResponse | undefined,
): readonly string[] {
  const earned = (profits ?? []).map(({ asset }) => asset);
  const held = (history?.histories ?? []).map(({ asset }) => asset);
  return [...new Set([...earned, ...held])];
}

/** The asset that is shown: the chosen one, or the one with the most positions and profits. */
export function chosenAsset(
  picked: string,
  profits: readonly Profit[] | undefined,
  history: GetEquityHistoryResponse | undefined,
): string {
  const assets = assetsOf(profits, history);
  if (picked !== "" && assets.includes(picked)) return picked;
  const weights = assets.map((asset) => {
    const own = (profits ?? []).filter((profit) => profit.asset === asset);
    return own.filter(hasTraded).length;
  });
  return assets[weights.indexOf(Math.max(...weights))] ?? "";
}

function hasTraded({ realized, unrealized, unpricedSymbols }: Profit): boolean {
  const isOpen = unrealized !== "" && signOf(unrealized) !== 0;
  return isOpen || unpricedSymbols.length > 0 || signOf(realized) !== 0;
}
