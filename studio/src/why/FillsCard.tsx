import { SideMark, Size } from "../orders/OrderCells";
import { feesLabel, liquidityLabel } from "../orders/labels";
import { formatDateTime, formatTime } from "../ui/format";
import type { ChainNode } from "./chain";
import { EventCard } from "./EventCard";

/** Rows on the page; the newest ones. */
const ROWS_MAX = 100;
const COLUMNS = ["Time, UTC", "Side", "Size", "Price", "Fee", "As", "Fill"];
const NUMBERS: ReadonlySet<string> = new Set(["Size", "Price", "Fee"]);

interface FillsCardProps {
  readonly nodes: readonly ChainNode[];
  readonly chosen: string;
}

/** The fills of a chain. */
export function FillsCard({ nodes, chosen }: FillsCardProps) {
  const fills = nodes.flatMap(({ key, stored }) => {
    const payload = stored?.event?.payload;
    const fill = payload?.case === "orderFilled" ? payload.value.fill : undefined;
    return fill ? [{ key, fill }] : [];
  });
  if (fills.length === 0) return null;
  return (
    <EventCard id="fills" title="Fills" isChosen={fills.some(({ key }) => key === chosen)}>
      <div className="why-scroll">
        <table className="why-table fills">
          <thead>
            <tr>
              {COLUMNS.map((name) => (
                <th key={name} scope="col" className={NUMBERS.has(name) ? "number" : ""}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {fills.slice(-ROWS_MAX).map(({ key, fill }) => (
              <tr key={key} data-testid="chain-fill-row" data-chosen={key === chosen}>
                <td title={formatDateTime(fill.venueTimeNs)}>{formatTime(fill.venueTimeNs)}</td>
                <td>
                  <SideMark side={fill.side} />
                </td>
                <td className="number">
                  <Size size={fill.size} unit={fill.sizeUnit} />
                </td>
                <td className="number">{fill.price}</td>
                <td className="number">{feesLabel(fill)}</td>
                <td>{liquidityLabel(fill.liquidity)}</td>
                <td className="faint">{fill.fillId}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </EventCard>
  );
}
