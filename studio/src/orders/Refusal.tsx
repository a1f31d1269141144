import type { Failure } from "../api/failure";

interface RefusalProps {
  readonly failure: Failure;
}

/** Why a call failed: reason, words, and what would be right where the server says it. */
export function Refusal({ failure }: RefusalProps) {
  const { field, value, allowed, nearest, why } = failure.metadata ?? {};
  const facts: [string, string | undefined][] = [
    ["Field", field],
    ["Value", value],
    ["Allowed", allowed],
    ["Nearest valid", nearest],
    ["Why", why],
  ];
  return (
    <div className="refusal" role="alert" data-testid="refusal" data-reason={failure.reason}>
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
