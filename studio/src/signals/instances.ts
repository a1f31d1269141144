import { StrategyState, type StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";

/** A strategy on one of its instruments. */
export interface InstanceKey {
  readonly strategy: string;
  readonly venue: string;
  /** Native symbol. */
  readonly symbol: string;
}

const WORDS: Record<StrategyState, string> = {
  [StrategyState.UNSPECIFIED]: "unspecified",
  [StrategyState.WAITING]: "waiting",
  [StrategyState.RUNNING]: "running",
  [StrategyState.STOPPED]: "stopped",
  [StrategyState.FAILED]: "failed",
  [StrategyState.WARMING]: "warming",
  [StrategyState.PAUSED]: "paused",
};

/** A newer detector may have a state that this page does not know. */
export function stateText(state: StrategyState): string {
  return (WORDS as Partial<Record<number, string>>)[state] ?? `state ${state}`;
}

/** The instances, without the files that could not be used. */
export function instancesOf(
  strategies: readonly StrategyStatus[] | undefined,
): readonly StrategyStatus[] {
  return strategies?.filter(({ strategy }) => strategy !== "") ?? [];
}

/** The first instance that fits; a part of the address that is empty fits all. */
export function chosenInstance(
  strategies: readonly StrategyStatus[] | undefined,
  wanted: InstanceKey,
): StrategyStatus | undefined {
  return instancesOf(strategies).find(
    ({ strategy, venue, symbol }) =>
      (wanted.strategy === "" || wanted.strategy === strategy) &&
      (wanted.venue === "" || wanted.venue === venue) &&
      (wanted.symbol === "" || wanted.symbol === symbol),
  );
}

/** "trend on binance BTCUSDT"; what is empty is left out. */
export function instanceText({ strategy, venue, symbol }: InstanceKey): string {
  const place = [venue, symbol].filter((part) => part !== "").join(" ");
  return place === "" ? strategy : `${strategy} on ${place}`;
}

/** What a page without a chosen instance says. */
export function missingText(strategies: readonly StrategyStatus[], wanted: InstanceKey): string {
  const start =
    "Write one with ./venuemesh strategy new trend.py, and start it with " +
    "./venuemesh strategy run trend.py.";
  if (wanted.strategy !== "") return `There is no strategy “${instanceText(wanted)}”.`;
  if (strategies.length > 0) return `No strategy runs: no file of the folder can be used. ${start}`;
  return `No strategy runs. ${start}`;
}
