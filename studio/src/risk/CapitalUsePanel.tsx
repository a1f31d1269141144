import { useState } from "react";

import type {
  StrategyCapital,
  SuppressedSignals,
} from "../gen/venuemesh/inspector/v1/capital_reports_pb";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { partText, pollCapitalUse, strategyName, wonText } from "./capitalUse";

const CAPITAL_COLUMNS = ["Strategy", "Used", "Reserved", "Of its limit", "Of the equity"];
const SUPPRESSED_COLUMNS = ["Strategy", "Refused by", "Signals", "Won", "Would have brought"];
const NOTE = "signals of 24 hours that led to no order, by their outcomes, before fees";

/** What each strategy uses of the capital, and what refused signals would have brought. */
export function CapitalUsePanel() {
  const [poll] = useState(pollCapitalUse);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const strategies = polled.value?.strategies ?? [];
  const suppressed = polled.value?.suppressed ?? [];
  return (
    <Panel title="Use of capital" aside={<span className="panel-note">{NOTE}</span>}>
      {strategies.length + suppressed.length === 0 ? (
        <EmptyPanel polled={polled} empty="Nothing is open, and no signal was refused." />
      ) : (
        <>
          <RecordTable columns={CAPITAL_COLUMNS}>
            {strategies.map((row) => (
              <CapitalRow key={`${row.strategy} ${row.asset}`} row={row} />
            ))}
          </RecordTable>
          <RecordTable columns={SUPPRESSED_COLUMNS}>
            {suppressed.map((row) => (
              <SuppressedRow
                key={[row.strategy, row.refusedBy, row.reason, row.asset].join(" ")}
                row={row}
              />
            ))}
          </RecordTable>
        </>
      )}
    </Panel>
  );
}

function CapitalRow({ row }: { readonly row: StrategyCapital }) {
  const unknown = row.problem === "" ? "not known" : row.problem;
  return (
    <tr data-testid="capital-row">
      <th scope="row">{strategyName(row)}</th>
      <td>
        <Amount text={row.gross === "" ? undefined : row.gross} unit={row.asset} {...{ unknown }} />
      </td>
      <td>
        <Amount text={row.reserved === "" ? undefined : row.reserved} {...{ unknown }} />
      </td>
      <td title={row.limit}>{row.limit === "" ? "no limit" : partText(row.limitUsed)}</td>
      <td>{partText(row.equityUsed) ?? "not known"}</td>
    </tr>
  );
}

function SuppressedRow({ row }: { readonly row: SuppressedSignals }) {
  return (
    <tr data-testid="suppressed-row">
      <th scope="row">{strategyName(row)}</th>
      <td>
        {row.refusedBy} <span className="faint">{row.reason}</span>
      </td>
      <td>{formatCount(row.signals)}</td>
      <td>{wonText(row) ?? "not known"}</td>
      <td>
        <Amount text={row.profit === "" ? undefined : row.profit} unit={row.asset} isChange />
      </td>
    </tr>
  );
}
