import type { ReactNode } from "react";

export type Fact = readonly [name: string, value: ReactNode];

/** Names and values. What is empty is left out. */
export function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  const known = facts.filter(([, value]) => value !== "" && value !== undefined && value !== null);
  return (
    <dl className="why-facts">
      {known.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
