import type { Failure } from "../api/failure";

interface FailureMessageProps {
  readonly failure: Failure;
}

/** Why a call failed: the reason, the message, and a valid value if the server suggests one. */
export function FailureMessage({ failure }: FailureMessageProps) {
  const { field, value, allowed, nearest, why } = failure.metadata ?? {};
  const facts: [string, string | undefined][] = [
    ["Field", field],
    ["Value", value],
    ["Allowed", allowed],
    ["Nearest valid value", nearest],
    ["Reason", why],
  ];
  return (
    <div
      className="failure-message"
      role="alert"
      data-testid="failure-message"
      data-reason={failure.reason}
    >
      <p className="failed">
        <strong>{failure.reason}</strong> {failure.message}
      </p>
      <dl>
        {facts.map(([name, text]) =>
          text ? (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{text}</dd>
            </div>
          ) : null,
        )}
      </dl>
    </div>
  );
}
