import type {
  AttributedResult,
  GetAttributionResponse,
} from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import type { Polled } from "../state/poll";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { dueText } from "./decisionText";

const COLUMNS = ["Strategy", "Due to", "Won", "Lost", "Not known", "Profit"];
const NOTE = "outcomes of 24 hours by recorded bars, before fees";

/** What has earned or lost how much. */
export function AttributionPanel({ polled }: { readonly polled: Polled<GetAttributionResponse> }) {
  const rows = polled.value?.results ?? [];
  return (
    <Panel title="Attribution" aside={<span className="panel-note">{NOTE}</span>}>
      {rows.length === 0 ? (
        <EmptyPanel polled={polled} empty="No outcome of these 24 hours is known yet." />
      ) : (
        <RecordTable columns={COLUMNS}>
          {rows.map((row) => (
            <ResultRow key={[row.strategy, row.kind, row.name, row.asset].join(" ")} row={row} />
          ))}
        </RecordTable>
      )}
    </Panel>
  );
}

function ResultRow({ row }: { readonly row: AttributedResult }) {
  return (
    <tr data-testid="attribution-row">
      <th scope="row">{row.strategy}</th>
      <td>{dueText(row)}</td>
      <td>{formatCount(row.won)}</td>
      <td>{formatCount(row.lost)}</td>
      <td>{formatCount(row.unknown)}</td>
      <td>
        <Amount text={row.profit === "" ? undefined : row.profit} unit={row.asset} isChange />
      </td>
    </tr>
  );
}
