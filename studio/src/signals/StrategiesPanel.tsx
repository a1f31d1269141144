import type { StrategyStatus } from "../gen/venuemesh/detector/v1/detector_pb";
import { formatRoute } from "../route";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import { StateMark } from "./StateMark";

interface StrategiesPanelProps {
  readonly strategies: Polled<readonly StrategyStatus[]>;
  readonly chosen: StrategyStatus | undefined;
}

/** Every strategy on each of its instruments, and what it does. */
export function StrategiesPanel({ strategies, chosen }: StrategiesPanelProps) {
  const rows = strategies.value ?? [];
  return (
    <Panel
      title="Strategies"
      className="strategies"
      aside={<span className="panel-note">{formatCount(rows.length)}</span>}
    >
      {rows.length === 0 ? (
        <EmptyPanel polled={strategies} empty="No strategy runs." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {["State", "Strategy", "Instrument", "Bars"].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
                <th scope="col" className="number">
                  Signals
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <StrategyRow key={rowKey(row)} row={row} isChosen={isSame(row, chosen)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

interface StrategyRowProps {
  readonly row: StrategyStatus;
  readonly isChosen: boolean;
}

function StrategyRow({ row, isChosen }: StrategyRowProps) {
  const { strategy, venue, symbol, interval, state, detail, file, signals } = row;
  if (strategy === "") {
    return (
      <tr data-testid="strategy-row">
        <td>
          <StateMark state={state} detail={detail} />
        </td>
        <th scope="row">{file}</th>
        <td colSpan={3} className="failed strategy-detail" title={detail}>
          {detail}
        </td>
      </tr>
    );
  }
  return (
    <tr data-testid="strategy-row" data-chosen={isChosen}>
      <td>
        <StateMark state={state} detail={detail} />
      </td>
      <th scope="row">
        <a
          className="why-link"
          href={formatRoute({ page: "signals", strategy, venue, symbol })}
          aria-current={isChosen ? "true" : undefined}
        >
          {strategy}
        </a>
      </th>
      <td title={detail}>
        {venue} {symbol}
      </td>
      <td>{interval}</td>
      <td className="number">{formatCount(signals)}</td>
    </tr>
  );
}

function rowKey({ strategy, venue, symbol, file }: StrategyStatus): string {
  return JSON.stringify([strategy, venue, symbol, file]);
}

function isSame(row: StrategyStatus, chosen: StrategyStatus | undefined): boolean {
  return chosen !== undefined && rowKey(row) === rowKey(chosen);
}
