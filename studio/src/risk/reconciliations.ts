import {
  ReconciledItem,
  ReconciliationCause,
  type ReconciliationDifference,
} from "../gen/venuemesh/events/v1/reconciliations_pb";
import {
  type AccountReconciliation,
  ReconciliationState,
} from "../gen/venuemesh/inspector/v1/reconciliations_pb";
import { enumText } from "../why/enumText";
import type { Tone } from "./modes";

const TONES: Partial<Record<ReconciliationState, Tone>> = {
  [ReconciliationState.AGREES]: "good",
  [ReconciliationState.LATE]: "warn",
  [ReconciliationState.DIFFERS]: "bad",
  [ReconciliationState.UNKNOWN]: "warn",
};

/** Causes that end by themselves, or need nothing. */
const HARMLESS: ReadonlySet<ReconciliationCause> = new Set([
  ReconciliationCause.LATE,
  ReconciliationCause.ROUNDING,
]);

/** "agrees", "differs". */
export function stateText(state: ReconciliationState): string {
  return enumText(ReconciliationState, state) || "not known";
}

export function stateTone(state: ReconciliationState): Tone | undefined {
  return TONES[state];
}

/** "missed fill". */
export function causeText(cause: ReconciliationCause): string {
  return enumText(ReconciliationCause, cause) || "not known";
}

/** "balance USDT", "order BTCUSDT 6b1f". */
export function subjectText(difference: ReconciliationDifference): string {
  const { item, subject, strategy, orderId } = difference;
  const parts = [enumText(ReconciledItem, item), subject, strategy, orderId];
  return parts.filter((one) => one !== "").join(" ");
}

/** A difference with its account. */
export interface AccountDifference {
  readonly place: string;
  readonly difference: ReconciliationDifference;
}

/** All differences, those that last first, then by cause. */
export function differencesOf(
  accounts: readonly AccountReconciliation[],
): readonly AccountDifference[] {
  return accounts
    .flatMap(({ venue, account, differences }) =>
      differences.map((difference) => ({ place: `${venue}/${account}`, difference })),
    )
    .sort((left, right) => weight(left) - weight(right));
}

/** How many differences there are of each cause, in the order of the list. */
export function countByCause(
  found: readonly AccountDifference[],
): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { difference } of found) {
    const cause = causeText(difference.cause);
    counts.set(cause, (counts.get(cause) ?? 0) + 1);
  }
  return [...counts];
}

function weight({ difference: { cause } }: AccountDifference): number {
  return (HARMLESS.has(cause) ? 100 : 0) + cause;
}
