import { history } from "../api/transport";
import {
  type OrderCostsGroup,
  OrderCostsGrouping,
  type SummarizeOrderCostsResponse,
  type WeightedMean,
} from "../gen/venuemesh/history/v1/order_costs_pb";
import { Poll } from "../state/poll";

/** Adding up thousands of orders costs the database something. */
const PAUSE_MS = 60_000;

export type CostsGrouping = "strategy" | "hour";
export const GROUPINGS: readonly (readonly [CostsGrouping, string])[] = [
  ["strategy", "by strategy"],
  ["hour", "by hour"],
];

const BY: Record<CostsGrouping, OrderCostsGrouping> = {
  strategy: OrderCostsGrouping.STRATEGY,
  hour: OrderCostsGrouping.HOUR,
};

/** What the orders of all accounts have cost, added up. */
export function pollCostGroups(grouping: CostsGrouping): Poll<SummarizeOrderCostsResponse> {
  const request = { groupings: [BY[grouping]] };
  return new Poll((signal) => history.summarizeOrderCosts(request, { signal }), PAUSE_MS);
}

/** What a group is of: the name of a strategy, or "09:00 UTC". */
export function groupName({ strategy, hour }: OrderCostsGroup, grouping: CostsGrouping): string {
  if (grouping === "strategy") return strategy === "" ? "no strategy" : strategy;
  return hour === undefined ? "not known" : `${String(hour).padStart(2, "0")}:00 UTC`;
}

/** The means of COST_GROUP_COLUMNS. Undefined: no order is part of it. */
export function groupMeans(group: OrderCostsGroup): readonly (string | undefined)[] {
  const lastMarkout = group.markouts.at(-1)?.valueBps;
  return [group.slippageBps, group.shortfallBps, group.feeBps, lastMarkout].map(valueOf);
}

export const COST_GROUP_COLUMNS = ["Slippage", "Shortfall", "Fee", "After 1 min"] as const;

function valueOf(mean: WeightedMean | undefined): string | undefined {
  return mean === undefined || mean.value === "" ? undefined : mean.value;
}
