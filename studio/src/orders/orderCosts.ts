import { history } from "../api/transport";
import {
  type Figure,
  type ListOrderCostsResponse,
  type OrderCosts,
  UnknownReason,
} from "../gen/venuemesh/history/v1/order_costs_pb";
import { Poll } from "../state/poll";
import { enumText } from "../why/enumText";

/** Costs change only while mark-outs are to come, and reading them costs the database something. */
const PAUSE_MS = 10_000;
export const COSTS_MAX = 50;

/** What is shown of a figure. */
export interface CostText {
  /** Exact decimal text. Undefined: not known. */
  readonly text: string | undefined;
  /** Why it is not known. */
  readonly unknown: string;
}

/** All figures are in basis points. */
export const COST_COLUMNS = [
  "Slippage",
  "Shortfall",
  "Fee",
  "Usual fee",
  "After 1 s",
  "10 s",
  "1 min",
] as const;

/** The costs of the newest orders of an account. */
export function pollOrderCosts(venue: string, account: string): Poll<ListOrderCostsResponse> {
  const request = { filter: { venue, account }, pageSize: COSTS_MAX };
  return new Poll((signal) => history.listOrderCosts(request, { signal }), PAUSE_MS);
}

/** The texts of COST_COLUMNS. What waits for a price is compared with its stop price. */
export function costTexts(costs: OrderCosts): readonly CostText[] {
  const { waitsForPrice, slippageBps, triggerSlippageBps, shortfall, feeBps } = costs;
  return [
    waitsForPrice ? triggerSlippageBps : slippageBps,
    shortfall?.totalBps,
    feeBps,
    costs.expectedFeeBps,
    ...costs.markouts.map(({ valueBps }) => valueBps),
  ].map(costText);
}

function costText(figure: Figure | undefined): CostText {
  if (figure && figure.value !== "") return { text: figure.value, unknown: "" };
  return { text: undefined, unknown: enumText(UnknownReason, figure?.unknownReason ?? 0) };
}
