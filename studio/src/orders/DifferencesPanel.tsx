import type { Difference } from "../gen/venuemesh/tradeflow/v1/differences_pb";
import { Panel } from "../ui/Panel";
import { differenceLabel } from "./labels";

/** Differences between journal and venue that were resolved in favour of the venue. */
export function DifferencesPanel(props: { readonly differences: readonly Difference[] }) {
  const { differences } = props;
  return (
    <Panel
      title="Reconciliation differences"
      aside={<span className="panel-note">{differences.length}</span>}
    >
      <div className="table-scroll">
        <table className="record-table">
          <thead>
            <tr>
              {["Kind", "Symbol", "Expected", "Found", "Details"].map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {differences.map((difference, place) => (
              // The newest comes first, so that a row keeps its place when counted from the end.
              <tr key={differences.length - place} data-testid="difference-row">
                <td>{differenceLabel(difference.kind)}</td>
                <td title={difference.clientOrderId}>{difference.symbol}</td>
                <td>{difference.expected || "—"}</td>
                <td>{difference.found || "—"}</td>
                <td className="detail">
                  <span>{difference.detail}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
