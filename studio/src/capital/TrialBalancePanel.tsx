import type { GetTrialBalanceResponse } from "../gen/venuemesh/ledger/v1/ledger_pb";
import type { AssetTotals } from "../gen/venuemesh/ledger/v1/postings_pb";
import type { Polled } from "../state/poll";
import { Amount } from "../ui/Amount";
import { signOf, sumText } from "../ui/decimal";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";

const COLUMNS = ["Difference", "Debits", "Credits"];

/** The sums of all entries by asset, and that debits less credits is zero. */
export function TrialBalancePanel(props: { readonly polled: Polled<GetTrialBalanceResponse> }) {
  const { value } = props.polled;
  const rows = (value?.assets ?? []).map((sums) => ({ sums, difference: differenceOf(sums) }));
  const wrong = rows.filter(({ difference }) => signOf(difference) !== 0).length;
  return (
    <Panel
      title="Trial balance"
      aside={
        rows.length > 0 && (
          <strong
            className={wrong === 0 ? "proof up" : "proof down"}
            data-testid="trial-proof"
            title="All entries of the ledger were added up again"
          >
            {wrong === 0 ? `zero in all ${rows.length} assets` : `not zero in ${wrong} assets`}
          </strong>
        )
      }
    >
      {rows.length === 0 ? (
        <EmptyPanel {...props} empty="Nothing is booked yet." />
      ) : (
        <div className="table-scroll">
          <SumTable rows={rows} />
        </div>
      )}
      {value && (
        <p className="panel-foot">
          After group {formatCount(value.groupNumber)}, all accounts and venues.
        </p>
      )}
    </Panel>
  );
}

interface Row {
  readonly sums: AssetTotals;
  readonly difference: string;
}

function SumTable({ rows }: { readonly rows: readonly Row[] }) {
  return (
    <table className="record-table">
      <thead>
        <tr>
          <th scope="col">Asset</th>
          {COLUMNS.map((name) => (
            <th key={name} scope="col" className="number">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(({ sums: { asset, debits, credits, accounts, entries }, difference }) => (
          <tr
            key={asset}
            data-testid="trial-row"
            data-difference={difference}
            title={`${formatCount(entries)} entries of ${formatCount(accounts)} accounts`}
          >
            <th scope="row">{asset}</th>
            <td className={signOf(difference) === 0 ? "number up" : "number down"}>
              <Amount text={difference} />
            </td>
            <td className="number">
              <Amount text={debits} />
            </td>
            <td className="number">
              <Amount text={credits} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Not believed from the answer: subtracted here, from its own sums. */
function differenceOf({ debits, credits }: AssetTotals): string {
  return sumText([debits, negated(credits)]);
}

function negated(text: string): string {
  return text.startsWith("-") ? text.slice(1) : `-${text}`;
}
