import { useState } from "react";

import {
  type GetStateResponse,
  Inspector,
  type ModeState,
} from "../gen/venuemesh/inspector/v1/inspector_pb";
import { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import { useRefusal } from "../session/refusal";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { ModeDialog } from "./ModeDialog";
import { modeText, modeTone, scopesOf, setByText } from "./modes";
import { ToneMark } from "./ToneMark";

const COLUMNS = ["Scope", "Mode", "Set, UTC", "By", "Reason", ""];

interface ModesPanelProps {
  readonly polled: Polled<GetStateResponse>;
  /** Accounts and strategies whose mode can be set. */
  readonly places: readonly {
    readonly venue: string;
    readonly account: string;
    readonly strategy?: string;
  }[];
  readonly onChange: () => void;
}

/** The modes with their reasons, and the button that sets one. */
export function ModesPanel({ polled, places, onChange }: ModesPanelProps) {
  const [asked, ask] = useState<{ scope: string; mode: TradingMode }>();
  const refusal = useRefusal(Inspector.method.setMode);
  const { value } = polled;
  const modes = value?.modes ?? [];
  return (
    <Panel
      title="Modes"
      aside={
        <button
          className="outline-button"
          data-testid="set-mode"
          title={refusal}
          disabled={refusal !== undefined || !value}
          onClick={() => {
            ask({ scope: "mesh", mode: TradingMode.HALTED });
          }}
        >
          Set a mode
        </button>
      }
    >
      {modes.length === 0 ? (
        <EmptyPanel polled={polled} empty="No mode is known." />
      ) : (
        <ModesTable
          modes={modes}
          refusal={refusal}
          onRelease={(scope) => {
            ask({ scope, mode: TradingMode.ACTIVE });
          }}
        />
      )}
      {value && value.unfencedAccounts.length > 0 && (
        <p className="panel-foot failed" data-testid="unfenced">
          Entries that were approved before may still be taken: {value.unfencedAccounts.join(", ")}
        </p>
      )}
      {asked && (
        <ModeDialog
          {...asked}
          modes={modes}
          scopes={scopesOf(modes, places)}
          onDone={onChange}
          onClose={() => {
            ask(undefined);
          }}
        />
      )}
    </Panel>
  );
}

interface ModesTableProps {
  readonly modes: readonly ModeState[];
  /** Why this caller may set no mode. */
  readonly refusal: string | undefined;
  readonly onRelease: (scope: string) => void;
}

function ModesTable({ modes, refusal, onRelease }: ModesTableProps) {
  return (
    <RecordTable columns={COLUMNS}>
      {modes.map((one) => (
        <tr key={one.scope} data-testid="mode-row" data-scope={one.scope}>
          <th scope="row">{one.scope}</th>
          <td>
            <ToneMark tone={modeTone(one.mode)}>{modeText(one.mode)}</ToneMark>
          </td>
          <td title={formatDateTime(one.changedTimeNs)}>
            {one.changedTimeNs === 0n ? "" : formatTime(one.changedTimeNs).slice(0, 8)}
          </td>
          <td>{setByText(one)}</td>
          <td className="detail">
            <span title={one.reason}>{one.reason}</span>
          </td>
          <td>
            {one.mode !== TradingMode.ACTIVE && (
              <button
                className="outline-button"
                data-testid="release-mode"
                title={refusal}
                disabled={refusal !== undefined}
                onClick={() => {
                  onRelease(one.scope);
                }}
              >
                Release
              </button>
            )}
          </td>
        </tr>
      ))}
    </RecordTable>
  );
}
