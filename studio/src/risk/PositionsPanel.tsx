import type { GetStateResponse } from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { PositionProtection } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import type { Polled } from "../state/poll";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import { hexText } from "../why/bytes";
import { EventLink } from "../why/WhyLink";
import { exitsText, protectionText, protectionTone } from "./protections";
import { ToneMark } from "./ToneMark";

const COLUMNS = ["Strategy", "Where", "Size", "Stop", "Target", "Protection", ""];

interface PositionsPanelProps {
  readonly polled: Polled<readonly PositionProtection[]>;
  /** Says why a closing waits. */
  readonly state: GetStateResponse | undefined;
}

/** The open positions of strategies, each with its stop. */
export function PositionsPanel({ polled, state }: PositionsPanelProps) {
  const rows = polled.value ?? [];
  const problems = new Map(
    state?.positions.map(({ lifecycleId, problem }) => [hexText(lifecycleId), problem]),
  );
  return (
    <Panel
      title="Positions and stops"
      aside={<span className="panel-note">{polled.value && formatCount(rows.length)}</span>}
    >
      {rows.length === 0 ? (
        <EmptyPanel polled={polled} empty="No strategy holds a position." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {COLUMNS.map((name, place) => (
                  <th key={name} scope="col" className={place > 1 && place < 5 ? "number" : ""}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => {
                const key = hexText(row.lifecycleId);
                return <PositionRow key={key} row={row} problem={problems.get(key) ?? ""} />;
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

interface PositionRowProps {
  readonly row: PositionProtection;
  readonly problem: string;
}

function PositionRow({ row, problem }: PositionRowProps) {
  const { strategy, venue, account, symbol, size, stopPrice, targetPrice, state } = row;
  const { trailingOffset, trailedPrice } = row;
  return (
    <tr data-testid="protection-row" data-tone={protectionTone(state)}>
      <th scope="row">{strategy}</th>
      <td title={`${venue}/${account}`}>
        {symbol}{" "}
        <span className="faint">
          {venue}/{account}
        </span>
      </td>
      <td className="number">
        <Amount text={size} isChange />
      </td>
      <td className="number">
        {stopPrice === "" ? <span className="faint">none</span> : <Amount text={stopPrice} />}
        {trailingOffset !== "" && (
          <span className="faint" title={`trails at a distance of ${trailingOffset}`}>
            {" "}
            trails {trailedPrice !== "" && <Amount text={trailedPrice} />}
          </span>
        )}
      </td>
      <td className="number">
        {targetPrice === "" ? <span className="faint">none</span> : <Amount text={targetPrice} />}
      </td>
      <td title={[row.problem, exitsText(row), problem].filter((one) => one !== "").join("; ")}>
        <ToneMark tone={protectionTone(state)}>
          {protectionText(state)}
          {problem !== "" && <em className="unknown"> waits</em>}
        </ToneMark>
      </td>
      <td>
        <EventLink eventId={row.lifecycleId} />
      </td>
    </tr>
  );
}
