import { type Failure, failureText } from "../api/failure";
import type { Fill } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { WhyLink } from "../why/WhyLink";
import { type AccountView, fillKey, FILLS_MAX } from "./accountView";
import { ColumnHeads, SideMark, Size } from "./OrderCells";
import { feesLabel, liquidityLabel } from "./labels";

const COLUMNS = ["Time, UTC", "Symbol", "Side", "Size", "Price", "Fee", "As", "Order", "Chain"];

interface FillsPanelProps {
  readonly view: AccountView;
  /** Why the fills of before are not known. */
  readonly failure: Failure | undefined;
}

/** The newest fills, newest first. */
export function FillsPanel({ view: { fills, isKnown }, failure }: FillsPanelProps) {
  const count = fills.length === FILLS_MAX ? `newest ${fills.length}` : String(fills.length);
  return (
    <Panel
      title="Fills"
      aside={
        <span className={failure ? "panel-note failed" : "panel-note"}>
          {failure ? `Earlier fills could not be loaded. ${failureText(failure)}` : count}
        </span>
      }
    >
      {fills.length === 0 ? (
        <p className="empty">{isKnown ? "No fills yet." : "Waiting …"}</p>
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <ColumnHeads names={COLUMNS} />
            <tbody>
              {fills.map((fill) => (
                <tr key={fillKey(fill)} data-testid="fill-row" title={`Fill ${fill.fillId}`}>
                  <td title={formatDateTime(fill.venueTimeNs)}>{formatTime(fill.venueTimeNs)}</td>
                  <td>{fill.symbol}</td>
                  <td>
                    <SideMark side={fill.side} />
                  </td>
                  <td className="number">
                    <Size size={fill.size} unit={fill.sizeUnit} />
                  </td>
                  <td className="number">{fill.price}</td>
                  <td className="number">{feesLabel(fill)}</td>
                  <td>{liquidityLabel(fill.liquidity)}</td>
                  <td className="id">{fill.clientOrderId || fill.venueOrderId}</td>
                  <td>
                    <WhyLink question={{ about: "fill", ...placeOf(fill) }} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function placeOf({ venue, account, symbol, fillId }: Fill) {
  return { venue, account, symbol, fillId };
}
