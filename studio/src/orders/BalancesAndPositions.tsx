import type { ReactNode } from "react";

import { Panel } from "../ui/Panel";
import type { AccountView } from "./accountView";
import { Size } from "./OrderCells";

interface HoldingsProps {
  readonly view: AccountView;
}

/** What the account has, by asset. */
export function BalancesPanel({ view: { balances, isKnown } }: HoldingsProps) {
  return (
    <Panel title="Balances" className="holdings">
      <HoldingsTable
        names={["Asset", "Total", "Free"]}
        empty={isKnown ? "No balances." : "Waiting …"}
        rows={balances.map(({ asset, total, free }) => (
          <tr key={asset} data-testid="balance-row" data-asset={asset}>
            <th scope="row">{asset}</th>
            <td className="number">{total}</td>
            <td className="number">{free}</td>
          </tr>
        ))}
      />
    </Panel>
  );
}

/** What it holds of derivatives, by symbol. */
export function PositionsPanel({ view: { positions, isKnown } }: HoldingsProps) {
  return (
    <Panel title="Positions" className="holdings">
      <HoldingsTable
        names={["Symbol", "Size", "Entry", "Profit", "Liquidation price"]}
        empty={isKnown ? "No positions." : "Waiting …"}
        rows={positions.map((position) => (
          <tr key={position.symbol} data-testid="position-row" data-symbol={position.symbol}>
            <th scope="row">{position.symbol}</th>
            <td className="number">
              <Size size={position.size} unit={position.sizeUnit} />
            </td>
            <td className="number">{position.entryPrice || "—"}</td>
            <td className="number">{position.unrealizedProfit || "—"}</td>
            <td className="number">{position.liquidationPrice || "—"}</td>
          </tr>
        ))}
      />
    </Panel>
  );
}

interface HoldingsTableProps {
  readonly names: readonly string[];
  readonly rows: readonly ReactNode[];
  /** What to say when there is no row. */
  readonly empty: string;
}

function HoldingsTable({ names, rows, empty }: HoldingsTableProps) {
  if (rows.length === 0) return <p className="empty">{empty}</p>;
  return (
    <div className="table-scroll">
      <table className="record-table">
        <thead>
          <tr>
            {names.map((name, place) => (
              <th key={name} scope="col" className={place === 0 ? "" : "number"}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{rows}</tbody>
      </table>
    </div>
  );
}
