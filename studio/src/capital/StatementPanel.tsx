import { useMemo, useState } from "react";

import {
  AccountCode,
  type Entry,
  type LedgerAccount,
} from "../gen/venuemesh/ledger/v1/postings_pb";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime } from "../ui/format";
import { Icon } from "../ui/Icon";
import { Panel } from "../ui/Panel";
import { EventLink } from "../why/WhyLink";
import { accountsOf, type LedgerBalances, type Scope } from "./ledgerBalances";
import { pollStatement } from "./ledgerPolls";
import { accountKey, accountText, kindLabel, placeText } from "./ledgerText";

const COLUMNS = ["No.", "Time, UTC", "Why booked", "Other side", "Amount", "Balance", "Chain"];
const NUMBERS: ReadonlySet<string> = new Set(["No.", "Amount", "Balance"]);

interface StatementPanelProps {
  readonly known: LedgerBalances;
  readonly scope: Scope;
  /** Its cash is shown until another account is chosen. */
  readonly asset: string;
}

/** The entries of one account of the ledger, newest first. */
export function StatementPanel({ known, scope, asset }: StatementPanelProps) {
  const accounts = accountsOf(known, scope);
  const [chosen, setChosen] = useState("");
  const cash = accounts.filter(({ code }) => code === AccountCode.CASH);
  const account =
    accounts.find((one) => accountKey(one) === chosen) ??
    cash.find((one) => one.asset === asset) ??
    cash[0] ??
    accounts[0];
  if (!account) {
    return (
      <Panel title="Statement" className="statement">
        <p className="empty">The ledger has no account here yet.</p>
      </Panel>
    );
  }
  const key = accountKey(account);
  const choice = (
    <select
      className="account-select"
      data-testid="statement-account"
      aria-label="Account of the ledger"
      value={key}
      onChange={(event) => {
        setChosen(event.target.value);
      }}
    >
      {accounts.map((one) => (
        <option key={accountKey(one)} value={accountKey(one)}>
          {scope.venue === "" ? `${placeText(one)} · ` : ""}
          {accountText(one)}
        </option>
      ))}
    </select>
  );
  return <AccountStatement key={key} account={account} choice={choice} />;
}

interface AccountStatementProps {
  readonly account: LedgerAccount;
  readonly choice: React.ReactNode;
}

function AccountStatement({ account, choice }: AccountStatementProps) {
  // The tokens of the page that is shown and of those before it.
  const [tokens, setTokens] = useState<readonly string[]>([""]);
  const token = tokens.at(-1) ?? "";
  // The account is a new object after each posting; what it names is the same.
  const key = accountKey(account);
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const poll = useMemo(() => pollStatement(account, token), [key, token]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const entries = polled.value?.entries ?? [];
  const next = polled.value?.nextPageToken ?? "";
  return (
    <Panel
      title="Statement"
      className="statement"
      aside={
        <>
          {choice}
          <span className="panel-note">page {tokens.length}</span>
          <PageButton
            name="earlier"
            label="Newer entries"
            onClick={
              tokens.length > 1
                ? () => {
                    setTokens(tokens.slice(0, -1));
                  }
                : undefined
            }
          />
          <PageButton
            name="later"
            label="Older entries"
            onClick={
              next !== ""
                ? () => {
                    setTokens([...tokens, next]);
                  }
                : undefined
            }
          />
        </>
      }
    >
      {entries.length === 0 ? (
        <EmptyPanel polled={polled} empty="No entries." />
      ) : (
        <EntryTable entries={entries} />
      )}
    </Panel>
  );
}

interface PageButtonProps {
  readonly name: "earlier" | "later";
  readonly label: string;
  /** Undefined: there is no such page. */
  readonly onClick: (() => void) | undefined;
}

function PageButton({ name, label, onClick }: PageButtonProps) {
  return (
    <button
      className="quiet-button"
      data-testid={`statement-${name}`}
      title={label}
      aria-label={label}
      disabled={!onClick}
      onClick={onClick}
    >
      <Icon name={name} />
    </button>
  );
}

function EntryTable({ entries }: { readonly entries: readonly Entry[] }) {
  return (
    <div className="table-scroll">
      <table className="record-table">
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
          {entries.map((entry) => (
            <tr key={String(entry.number)} data-testid="entry-row" title={entry.detail}>
              <td className="number faint">{String(entry.number)}</td>
              <td title={`Booked ${formatDateTime(entry.bookedTimeNs)}`}>
                {formatDateTime(entry.timeNs)}
              </td>
              <td>{kindLabel(entry.kind)}</td>
              <td>{otherText(entry)}</td>
              <td className="number">
                <Amount text={entry.amount} isChange />
              </td>
              <td className="number">
                <Amount text={entry.balance} />
              </td>
              <td>
                {entry.eventId.length > 0 ? (
                  <EventLink eventId={entry.eventId} />
                ) : (
                  <span className="faint">{entry.groupId}</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The account on the other side; with its place if that is another one. */
function otherText({ account, other }: Entry): string {
  if (!other) return "—";
  const isNear = account && placeText(account) === placeText(other);
  return isNear ? accountText(other) : `${placeText(other)} · ${accountText(other)}`;
}
