import type { AccountReconciliation } from "../gen/venuemesh/inspector/v1/reconciliations_pb";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import {
  type AccountDifference,
  causeText,
  countByCause,
  differencesOf,
  stateText,
  stateTone,
  subjectText,
} from "./reconciliations";
import { ToneMark } from "./ToneMark";

const COLUMNS = ["Account", "Cause", "What", "Venue", "Ledger", "Inspector"];

interface ReconciliationPanelProps {
  readonly polled: Polled<readonly AccountReconciliation[]>;
}

/** Whether venue, ledger and inspector agree on each account, and on what they do not. */
export function ReconciliationPanel({ polled }: ReconciliationPanelProps) {
  const accounts = polled.value ?? [];
  const differences = differencesOf(accounts);
  const counts = countByCause(differences).map(([cause, count]) => `${count} ${cause}`);
  return (
    <Panel
      title="Reconciliation"
      aside={
        <span className="panel-note" data-testid="difference-counts">
          {accounts.length > 0 && (counts.length === 0 ? "no differences" : counts.join(", "))}
        </span>
      }
    >
      {accounts.length === 0 ? (
        <EmptyPanel polled={polled} empty="No account was compared yet." />
      ) : (
        <div className="table-scroll">
          <ul className="accounts" aria-label="Accounts">
            {accounts.map((one) => (
              <AccountItem key={`${one.venue}/${one.account}`} account={one} />
            ))}
          </ul>
          {differences.length > 0 && <DifferencesTable differences={differences} />}
        </div>
      )}
    </Panel>
  );
}

function AccountItem({ account }: { readonly account: AccountReconciliation }) {
  const { venue, state, comparedTimeNs, agreedTimeNs, unreadable } = account;
  const agreed = agreedTimeNs === 0n ? "never" : `${formatDateTime(agreedTimeNs)} UTC`;
  return (
    <li
      data-testid="account-row"
      data-state={stateText(state)}
      title={`Compared ${formatDateTime(comparedTimeNs)} UTC; agreed last: ${agreed}`}
    >
      <ToneMark tone={stateTone(state)}>
        {venue}/{account.account} {stateText(state)}
      </ToneMark>
      <time>{formatTime(comparedTimeNs).slice(0, 8)}</time>
      {unreadable !== "" && <em className="unknown">not readable: {unreadable}</em>}
    </li>
  );
}

interface DifferencesTableProps {
  readonly differences: readonly AccountDifference[];
}

function DifferencesTable({ differences }: DifferencesTableProps) {
  return (
    <table className="record-table">
      <thead>
        <tr>
          {COLUMNS.map((name, place) => (
            <th key={name} scope="col" className={place > 2 ? "number" : ""}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {differences.map(({ place, difference }, number) => {
          const { cause, detail, firstSeenTimeNs } = difference;
          const values = [difference.venueValue, difference.ledgerValue, difference.inspectorValue];
          const since = `since ${formatDateTime(firstSeenTimeNs)} UTC`;
          return (
            <tr
              key={`${place}/${subjectText(difference)}/${number}`}
              data-testid="reconciliation-row"
              data-cause={causeText(cause)}
              title={detail === "" ? since : `${detail}; ${since}`}
            >
              <td>{place}</td>
              <td>{causeText(cause)}</td>
              <td>{subjectText(difference)}</td>
              {values.map((value, column) => (
                <td key={COLUMNS[column + 3]} className="number">
                  {value === "" ? <span className="faint">nothing</span> : value}
                </td>
              ))}
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
