import { useState } from "react";

import type { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import type { ModeState } from "../gen/venuemesh/inspector/v1/inspector_pb";
import { FailureMessage } from "../orders/FailureMessage";
import { useFrameStore } from "../state/frameStore";
import { closeDialog, Dialog } from "../ui/Dialog";
import { meaningOf, modeOf, modeOfValue, modeText, MODES, questionText } from "./modes";
import { ModeSetter } from "./modeSetter";
import { RealMoney, useIsReal } from "./RealMoney";

interface ModeDialogProps {
  readonly scope: string;
  readonly mode: TradingMode;
  readonly modes: readonly ModeState[];
  readonly scopes: readonly string[];
  /** Called when the mode was set. */
  readonly onDone: () => void;
  readonly onClose: () => void;
}

/** Asks for scope, mode and reason, and sets the mode. With real money it asks once more. */
export function ModeDialog({ scope, mode, modes, scopes, onDone, onClose }: ModeDialogProps) {
  const [setter] = useState(() => new ModeSetter());
  const change = useFrameStore(setter.change);
  const [chosen, choose] = useState({ scope, mode, reason: "" });
  const [isConfirmed, confirm] = useState(false);
  const isReal = useIsReal();
  const { phase } = change;
  const set = async () => {
    await setter.set(chosen.scope, chosen.mode, chosen.reason.trim());
    onDone();
  };
  const isReady = chosen.reason.trim() !== "" && (!isReal || isConfirmed) && phase !== "sending";
  return (
    <Dialog title="Set a mode" id="mode-dialog" isLocked={phase === "sending"} onClose={onClose}>
      {phase === "done" ? (
        <Done chosen={chosen} unfenced={change.unfenced} />
      ) : (
        <>
          <p className="dialog-sentence" data-testid="mode-question">
            {questionText(chosen.scope, modeOf(modes, chosen.scope), chosen.mode)}
          </p>
          <p className="dialog-text">{meaningOf(chosen.mode)} Reductions are always allowed.</p>
          <ModeFields {...{ chosen, scopes }} onChoose={choose} />
          {isReal && <RealMoney testId="mode-confirm" {...{ isConfirmed }} onConfirm={confirm} />}
          {change.failure && <FailureMessage failure={change.failure} />}
        </>
      )}
      <p className="dialog-buttons">
        <button className="outline-button" data-testid="mode-back" onClick={closeDialog}>
          {phase === "done" ? "Close" : "Back"}
        </button>
        {phase !== "done" && (
          <button
            className="text-button"
            data-testid="mode-send"
            disabled={!isReady}
            onClick={() => void set()}
          >
            {phase === "failed" ? "Retry" : `Set ${modeText(chosen.mode)}`}
          </button>
        )}
      </p>
    </Dialog>
  );
}

interface DoneProps {
  readonly chosen: Chosen;
  readonly unfenced: readonly string[];
}

function Done({ chosen, unfenced }: DoneProps) {
  return (
    <p className="dialog-sentence" role="status" data-testid="mode-done">
      {chosen.scope} is {modeText(chosen.mode)}.{" "}
      {unfenced.length > 0 &&
        `Entries that were approved before may still be taken: ${unfenced.join(", ")}.`}
    </p>
  );
}

interface Chosen {
  readonly scope: string;
  readonly mode: TradingMode;
  readonly reason: string;
}

interface ModeFieldsProps {
  readonly chosen: Chosen;
  readonly scopes: readonly string[];
  readonly onChoose: (chosen: Chosen) => void;
}

function ModeFields({ chosen, scopes, onChoose }: ModeFieldsProps) {
  return (
    <div className="mode-fields">
      <label htmlFor="mode-scope">Scope</label>
      <select
        id="mode-scope"
        data-testid="mode-scope"
        value={chosen.scope}
        onChange={(event) => {
          onChoose({ ...chosen, scope: event.target.value });
        }}
      >
        {scopes.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <label htmlFor="mode-mode">Mode</label>
      <select
        id="mode-mode"
        data-testid="mode-mode"
        value={chosen.mode}
        onChange={(event) => {
          onChoose({ ...chosen, mode: modeOfValue(event.target.value) });
        }}
      >
        {MODES.map(([one]) => (
          <option key={one} value={one}>
            {modeText(one)}
          </option>
        ))}
      </select>
      <label htmlFor="mode-reason">Reason</label>
      <input
        id="mode-reason"
        data-testid="mode-reason"
        maxLength={500}
        autoFocus
        placeholder="why; it is kept with the change"
        value={chosen.reason}
        onChange={(event) => {
          onChoose({ ...chosen, reason: event.target.value });
        }}
      />
    </div>
  );
}
