import { failureText } from "../api/failure";
import type { Polled } from "../state/poll";

interface UnknownProps {
  readonly polled: Polled<unknown>;
  /** What to say when the answer is that there is nothing. */
  readonly empty: string;
}

/** Why a panel has nothing to show: it failed, it is not known yet, or there is nothing. */
export function Unknown({ polled: { value, failure }, empty }: UnknownProps) {
  if (failure) return <p className="empty failed">{failureText(failure)}</p>;
  return <p className="empty">{value === undefined ? "Loading …" : empty}</p>;
}
