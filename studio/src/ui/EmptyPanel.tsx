import { failureText } from "../api/failure";
import type { Polled } from "../state/poll";

interface EmptyPanelProps {
  readonly polled: Polled<unknown>;
  /** Text for an empty response. */
  readonly empty: string;
}

/** The text of a panel without data: the failure, "Loading", or the text for an empty response. */
export function EmptyPanel({ polled: { value, failure }, empty }: EmptyPanelProps) {
  if (failure) return <p className="empty failed">{failureText(failure)}</p>;
  return <p className="empty">{value === undefined ? "Loading …" : empty}</p>;
}
