import {
  AccountCode,
  type LedgerAccount,
  type LedgerBalance,
  type TransferGroup,
} from "../gen/venuemesh/ledger/v1/postings_pb";
import type { StreamEntriesResponse } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { sumText } from "../ui/decimal";
import { accountKey } from "./ledgerText";

/** The balances of all accounts of the ledger, as its stream tells them. */
export interface LedgerBalances {
  /** Whether all parts of a snapshot were received. */
  readonly isKnown: boolean;
  /** The newest group that is counted. */
  readonly groupNumber: bigint;
  /** By the key of the account. */
  readonly balances: ReadonlyMap<string, LedgerBalance>;
}

export const NO_BALANCES: LedgerBalances = {
  isKnown: false,
  groupNumber: 0n,
  balances: new Map(),
};

/** The balances after a message of the stream. */
export function applyEntries(
  before: LedgerBalances,
  { groupNumber, content }: StreamEntriesResponse,
): LedgerBalances {
  if (content.case === "snapshot") {
    // The first part replaces what was known; the parts of one snapshot follow each other.
    const balances = new Map(before.isKnown ? [] : before.balances);
    for (const one of content.value.balances) {
      if (one.account) balances.set(accountKey(one.account), one);
    }
    return { isKnown: content.value.complete, groupNumber, balances };
  }
  if (content.case !== "group" || !content.value.group) return { ...before, groupNumber };
  return { ...before, groupNumber, balances: addGroup(before.balances, content.value.group) };
}

function addGroup(
  before: ReadonlyMap<string, LedgerBalance>,
  { transfers }: TransferGroup,
): ReadonlyMap<string, LedgerBalance> {
  const balances = new Map(before);
  const change = (account: LedgerAccount | undefined, amount: string) => {
    if (!account) return;
    const key = accountKey(account);
    const known = balances.get(key);
    const balance = sumText([known?.balance ?? "0", amount]);
    balances.set(key, { $typeName: "venuemesh.ledger.v1.LedgerBalance", account, balance });
  };
  for (const { debit, credit, amount } of transfers) {
    change(debit, amount);
    change(credit, `-${amount}`);
  }
  return balances;
}

/** A venue's account. Both empty: all accounts. */
export interface Scope {
  readonly venue: string;
  readonly account: string;
}

export function isInScope(account: LedgerAccount, scope: Scope): boolean {
  return scope.venue === "" || (account.venue === scope.venue && account.account === scope.account);
}

/** The accounts at venues that the ledger has, in alphabetical order. */
export function scopesOf({ balances }: LedgerBalances): readonly Scope[] {
  const found = new Map<string, Scope>();
  for (const { account } of balances.values()) {
    if (!account) continue;
    const { venue, account: name } = account;
    found.set(`${venue}/${name}`, { venue, account: name });
  }
  return [...found].sort(([left], [right]) => left.localeCompare(right)).map(([, scope]) => scope);
}

/** The accounts of the ledger in a scope: by place, then by code, then by the rest. */
export function accountsOf(known: LedgerBalances, scope: Scope): readonly LedgerAccount[] {
  return [...known.balances.values()]
    .flatMap(({ account }) => (account && isInScope(account, scope) ? [account] : []))
    .sort(
      (left, right) =>
        left.venue.localeCompare(right.venue) ||
        left.account.localeCompare(right.account) ||
        left.code - right.code ||
        left.asset.localeCompare(right.asset) ||
        left.symbol.localeCompare(right.symbol) ||
        left.strategy.localeCompare(right.strategy),
    );
}

/** Whether nothing has come into an account from outside the ledger: neither an opening balance nor
 * a deposit. What it has of the asset then counts from the first entry on. */
export function lacksOpening(known: LedgerBalances, place: Scope, asset: string): boolean {
  return ![...known.balances.values()].some(
    ({ account }) =>
      account?.code === AccountCode.EXTERNAL &&
      account.asset === asset &&
      isInScope(account, place),
  );
}
