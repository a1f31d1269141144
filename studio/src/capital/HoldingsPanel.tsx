import type { Equity, GetEquityResponse } from "../gen/venuemesh/ledger/v1/ledger_pb";
import type { Polled } from "../state/poll";
import { Amount } from "../ui/Amount";
import { signOf } from "../ui/decimal";
import { EmptyPanel } from "../ui/EmptyPanel";
import { Panel } from "../ui/Panel";
import { type LedgerBalances, lacksOpening } from "./ledgerBalances";
import { placeText } from "./ledgerText";
import { TotalLine } from "./TotalLine";

interface HoldingsPanelProps {
  readonly equity: Polled<GetEquityResponse>;
  readonly known: LedgerBalances;
}

/** What each account has of each asset, by the books. */
export function HoldingsPanel({ equity, known }: HoldingsPanelProps) {
  const rows = (equity.value?.equities ?? []).filter(isWorthShowing);
  const isChange = rows.some((row) => lacksOpening(known, row, row.asset));
  return (
    <Panel title="Balances" aside={<span className="panel-note">by the books</span>}>
      {rows.length === 0 ? (
        <EmptyPanel polled={equity} empty="No account has a balance." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {["Account", "Asset", "Cash", "Open profit"].map((name, place) => (
                  <th key={name} scope="col" className={place < 2 ? "" : "number"}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${placeText(row)}/${row.asset}`} data-testid="holding-row">
                  <td>{placeText(row)}</td>
                  <th scope="row">
                    {row.asset}
                    {lacksOpening(known, row, row.asset) && <span className="faint"> *</span>}
                  </th>
                  <td className="number">
                    <Amount text={row.cash} />
                  </td>
                  <td className="number">
                    <Amount text={row.unrealized === "" ? undefined : row.unrealized} isChange />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <TotalLine conversion={equity.value?.conversion} />
      {isChange && (
        <p className="panel-foot" data-testid="no-opening">
          * No opening balance and no deposit is booked: the amount counts from the first entry on.
        </p>
      )}
    </Panel>
  );
}

function isWorthShowing({ cash, unrealized }: Equity): boolean {
  return signOf(cash) !== 0 || unrealized === "" || signOf(unrealized) !== 0;
}
