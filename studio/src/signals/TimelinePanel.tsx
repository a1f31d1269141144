import { failureText } from "../api/failure";
import type { StreamState } from "../api/stream";
import { PositionAction, type SignalRaised } from "../gen/venuemesh/events/v1/signals_pb";
import { SideMark } from "../orders/OrderCells";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { enumText, scoreText } from "../why/enumText";
import { EventLink } from "../why/WhyLink";
import { barPieces, exitsOf, partsText, ruleParts } from "./attribution";
import { ruleColor } from "./ruleColors";
import { stateRowText, type Timeline, type TimelineRow } from "./signalTimeline";

interface TimelinePanelProps {
  /** Undefined until it is read. */
  readonly timeline: Timeline | undefined;
  readonly stream: StreamState;
}

/** The signals with what each rule added to them, and the states of the strategy. */
export function TimelinePanel({ timeline, stream }: TimelinePanelProps) {
  const rows = timeline ?? [];
  return (
    <Panel
      title="Timeline"
      className="timeline"
      aside={<span className="panel-note">newest first, what each rule added to the score</span>}
    >
      {rows.length === 0 ? (
        <EmptyTimeline isKnown={timeline !== undefined} stream={stream} />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {["UTC", "Wants", "Score", "Attribution", ""].map((name) => (
                  <th key={name} scope="col" className={name === "Score" ? "number" : ""}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <TimelineCells key={String(row.sequence)} row={row} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function EmptyTimeline({ isKnown, stream }: { isKnown: boolean; stream: StreamState }) {
  if ("failure" in stream) return <p className="empty failed">{failureText(stream.failure)}</p>;
  const text = isKnown ? "It has raised no signal yet. Its signals appear here." : "Loading …";
  return <p className="empty">{text}</p>;
}

function TimelineCells({ row }: { readonly row: TimelineRow }) {
  const time = <td title={`${formatDateTime(row.timeNs)} UTC`}>{formatTime(row.timeNs)}</td>;
  if (row.kind === "state") {
    const text = stateRowText(row.changed);
    return (
      <tr data-testid="state-row">
        {time}
        <td colSpan={3} className="strategy-detail faint" title={text}>
          {text}
        </td>
        <td />
      </tr>
    );
  }
  const { signal, eventId } = row;
  return (
    <tr data-testid="signal-row">
      {time}
      <td title={signal.regime === "" ? undefined : `regime ${signal.regime}`}>
        {enumText(PositionAction, signal.action)} <SideMark side={signal.side} />
      </td>
      <td className="number">{scoreText(signal.score)}</td>
      <td>
        <Attribution signal={signal} />
      </td>
      <td>
        <EventLink eventId={eventId} />
      </td>
    </tr>
  );
}

/** What each rule added, as pieces of a bar; of a signal that closes, the exits. */
function Attribution({ signal }: { readonly signal: SignalRaised }) {
  const exits = exitsOf(signal);
  if (signal.action !== PositionAction.OPEN && exits.length > 0) {
    return <span className="faint">exit: {exits.join(", ")}</span>;
  }
  const parts = ruleParts(signal.rules);
  const places = new Map(signal.rules.map(({ rule }, place) => [rule, place]));
  return (
    <span className="attribution" title={partsText(parts)} data-testid="attribution">
      {barPieces(parts).map(({ rule, left, width }) => (
        <i
          key={rule}
          data-rule={rule}
          style={{
            left: `${left}%`,
            width: `${width}%`,
            background: ruleColor(places.get(rule) ?? 0),
          }}
        />
      ))}
    </span>
  );
}
