import {
  AccountCode,
  type LedgerAccount,
  PostingKind,
} from "../gen/venuemesh/ledger/v1/postings_pb";

const CODES: Record<AccountCode, string> = {
  [AccountCode.UNSPECIFIED]: "unspecified",
  [AccountCode.CASH]: "Cash",
  [AccountCode.POSITION]: "Position",
  [AccountCode.FEES]: "Fees",
  [AccountCode.REALIZED_PROFIT]: "Realised profit",
  [AccountCode.MARGIN]: "Margin",
  [AccountCode.FUNDING_PROFIT]: "Funding profit",
  [AccountCode.EXTERNAL]: "External",
};

/** "Cash", "Realised profit". A newer ledger may have a code that this page does not know. */
export function codeLabel(code: AccountCode): string {
  return (CODES as Partial<Record<number, string>>)[code] ?? `code ${code}`;
}

/** "fill", "opening". */
export function kindLabel(kind: PostingKind): string {
  const name = (PostingKind as Partial<Record<number, string>>)[kind];
  return name === undefined ? `kind ${kind}` : name.toLowerCase();
}

/** "binance/demo". */
export function placeText({ venue, account }: { venue: string; account: string }): string {
  return `${venue}/${account}`;
}

/** "Position BTCUSDT, ema_cross, USDT": what tells the account from others of its place. */
export function accountText({ code, symbol, strategy, asset }: LedgerAccount): string {
  const what = symbol === "" ? codeLabel(code) : `${codeLabel(code)} ${symbol}`;
  return [what, strategy, asset].filter((part) => part !== "").join(", ");
}

/** A key that is the same for the same account. */
export function accountKey(account: LedgerAccount): string {
  const { code, venue, account: name, asset, symbol, strategy } = account;
  return JSON.stringify([code, venue, name, asset, symbol, strategy]);
}
