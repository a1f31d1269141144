import type { ReactNode } from "react";

import type { Tone } from "./modes";

interface ToneMarkProps {
  /** Undefined: neither good nor bad. */
  readonly tone: Tone | undefined;
  readonly children: ReactNode;
}

/** Words with a lamp that says at a glance whether they are good. */
export function ToneMark({ tone, children }: ToneMarkProps) {
  return (
    <span className="mode-mark" data-tone={tone ?? "none"}>
      <i className="lamp" aria-hidden="true" />
      {children}
    </span>
  );
}
