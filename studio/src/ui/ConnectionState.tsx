import { failureText } from "../api/failure";
import type { StreamState } from "../api/stream";

const WORDS: Record<StreamState["phase"], string> = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  error: "Error",
};

const WORST_FIRST: readonly StreamState["phase"][] = [
  "error",
  "reconnecting",
  "connecting",
  "live",
];

interface ConnectionStateProps {
  /** The streams of the page; the worst state is shown. */
  readonly streams: readonly StreamState[];
  /** Shown while all streams are live, for example the time since the last message. */
  readonly note?: string;
}

/** Whether the page is live, and if not, why. */
export function ConnectionState({ streams, note = "" }: ConnectionStateProps) {
  const worst = WORST_FIRST.map((phase) => streams.find((state) => state.phase === phase)).find(
    (state) => state !== undefined,
  );
  if (!worst) return null;
  const reason = "failure" in worst ? failureText(worst.failure) : note;
  return (
    <div
      className="connection-state"
      data-testid="connection-state"
      data-state={worst.phase}
      role="status"
      title={reason}
    >
      <span className="lamp" aria-hidden="true" />
      <strong>{WORDS[worst.phase]}</strong>
      {reason !== "" && <span className="connection-reason">{reason}</span>}
    </div>
  );
}
