import { useState } from "react";

import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { pollWorld } from "./riskPolls";

/** Whether real money is involved. Of a world that is not known, the stricter rule holds. */
export function useIsReal(): boolean {
  const [poll] = useState(() => pollWorld());
  useRunning(poll);
  const world = useFrameStore(poll.state).value;
  return world !== "simulate" && world !== "replay";
}

interface RealMoneyProps {
  readonly testId: string;
  readonly isConfirmed: boolean;
  readonly onConfirm: (isConfirmed: boolean) => void;
}

/** Asks once more where real money is involved. */
export function RealMoney({ testId, isConfirmed, onConfirm }: RealMoneyProps) {
  return (
    <label className="mode-confirm">
      <input
        type="checkbox"
        data-testid={testId}
        checked={isConfirmed}
        onChange={(event) => {
          onConfirm(event.target.checked);
        }}
      />{" "}
      This mesh trades with real money: I mean it.
    </label>
  );
}
