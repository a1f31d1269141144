import type { EventFeed } from "../state/eventFeed";
import { useFrameStore } from "../state/frameStore";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { type Stage, STAGES } from "./chain";
import { type ChainList, CHAINS_MAX, type ChainRow } from "./newestChains";
import { WhyLink } from "./WhyLink";

/** What the ledger books is in each chain's own picture. */
const SHOWN: readonly Stage[] = STAGES.filter((stage) => stage !== "posting");

/** The newest chains, and those that begin while the page is open. */
export function NewestChains({ feed }: { readonly feed: EventFeed<ChainList> }) {
  const chains = useFrameStore(feed.value);
  const count = chains?.length ?? 0;
  return (
    <Panel
      title="Newest chains"
      className="newest-chains"
      aside={<span className="panel-note">{count === CHAINS_MAX ? `newest ${count}` : count}</span>}
    >
      {count === 0 ? (
        <p className="empty">
          {chains
            ? "No signal, request or order is stored yet. What happens appears here."
            : "Loading …"}
        </p>
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {["Newest, UTC", "Begun by", "Where", ...SHOWN, ""].map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {chains?.map((row) => (
                <ChainRowCells key={row.key} row={row} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function ChainRowCells({ row }: { readonly row: ChainRow }) {
  const { newestTimeNs, begunBy, where, reached, question } = row;
  return (
    <tr data-testid="chain-row">
      <td title={formatDateTime(newestTimeNs)}>{formatTime(newestTimeNs)}</td>
      <td>{begunBy === "" ? <span className="faint">outside of a chain</span> : begunBy}</td>
      <td>{where}</td>
      {SHOWN.map((stage) => {
        const text = reached.get(stage);
        return (
          <td key={stage} className="reached" data-tone={text?.tone ?? "none"}>
            {text && (
              <span title={`${text.title}, ${text.fact}`}>
                <i className="lamp" aria-hidden="true" />
                {stage === "signal" ? text.fact : text.title}
              </span>
            )}
          </td>
        );
      })}
      <td>
        <WhyLink question={question} />
      </td>
    </tr>
  );
}
