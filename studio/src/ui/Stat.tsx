interface StatProps {
  readonly label: string;
  readonly value: string;
  readonly title?: string;
  readonly tone?: "up" | "down" | "high";
  /** For tests. */
  readonly valueId?: string;
}

/** A number with its label. */
export function Stat({ label, value, title, tone, valueId }: StatProps) {
  return (
    <div className="stat" title={title}>
      <span className="stat-label">{label}</span>
      <span className={`stat-value ${tone ?? ""}`} data-testid={valueId}>
        {value}
      </span>
    </div>
  );
}
