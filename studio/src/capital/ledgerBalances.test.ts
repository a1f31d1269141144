import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { StreamEntriesResponseSchema } from "../gen/venuemesh/ledger/v1/ledger_pb";
import {
  AccountCode,
  type LedgerAccountSchema,
  LedgerBalanceSchema,
} from "../gen/venuemesh/ledger/v1/postings_pb";
import {
  accountsOf,
  applyEntries,
  lacksOpening,
  type LedgerBalances,
  NO_BALANCES,
  scopesOf,
} from "./ledgerBalances";
import { accountText } from "./ledgerText";

type Account = MessageInitShape<typeof LedgerAccountSchema>;

function account(code: AccountCode, changes: Account = {}): Account {
  return { code, venue: "binance", account: "demo", asset: "USDT", ...changes };
}

const CASH = account(AccountCode.CASH);
const FEES = account(AccountCode.FEES, { symbol: "BTCUSDT", strategy: "ema" });
const EXTERNAL = account(AccountCode.EXTERNAL);

function snapshot(complete: boolean, ...balances: [Account, string][]) {
  return create(StreamEntriesResponseSchema, {
    groupNumber: 4n,
    content: {
      case: "snapshot",
      value: {
        complete,
        balances: balances.map(([one, balance]) => ({ account: one, balance })),
      },
    },
  });
}

function group(groupNumber: bigint, debit: Account, credit: Account, amount: string) {
  const value = { group: { transfers: [{ debit, credit, amount }] } };
  return create(StreamEntriesResponseSchema, { groupNumber, content: { case: "group", value } });
}

function texts({ balances }: LedgerBalances) {
  return [...balances.values()].map(({ account: one, balance }) => [one?.code, balance]);
}

test("a snapshot may have several parts, and groups are added to it exactly", () => {
  let known = applyEntries(NO_BALANCES, snapshot(false, [CASH, "0.1"]));
  expect(known.isKnown).toBe(false);
  known = applyEntries(known, snapshot(true, [EXTERNAL, "-0.1"]));
  expect([known.isKnown, known.groupNumber]).toEqual([true, 4n]);
  known = applyEntries(known, group(5n, FEES, CASH, "0.000000000000000001"));
  expect(known.groupNumber).toBe(5n);
  expect(texts(known)).toEqual([
    [AccountCode.CASH, "0.099999999999999999"],
    [AccountCode.EXTERNAL, "-0.1"],
    [AccountCode.FEES, "0.000000000000000001"],
  ]);
});

test("a later snapshot replaces what was known", () => {
  const before = applyEntries(NO_BALANCES, snapshot(true, [CASH, "1"], [EXTERNAL, "-1"]));
  expect(texts(applyEntries(before, snapshot(true, [CASH, "2"])))).toEqual([
    [AccountCode.CASH, "2"],
  ]);
});

test("accounts are listed by place and code, and by scope", () => {
  const okx = account(AccountCode.CASH, { venue: "okx" });
  const known = applyEntries(NO_BALANCES, snapshot(true, [okx, "1"], [FEES, "1"], [CASH, "1"]));
  expect(scopesOf(known)).toEqual([
    { venue: "binance", account: "demo" },
    { venue: "okx", account: "demo" },
  ]);
  const here = { venue: "binance", account: "demo" };
  expect(accountsOf(known, here).map(accountText)).toEqual([
    "Cash, USDT",
    "Fees BTCUSDT, ema, USDT",
  ]);
  expect(accountsOf(known, { venue: "", account: "" })).toHaveLength(3);
});

test("an account without an opening balance is told apart", () => {
  const place = { venue: "binance", account: "demo" };
  const known = applyEntries(NO_BALANCES, snapshot(true, [CASH, "1"], [EXTERNAL, "-1"]));
  expect(lacksOpening(known, place, "USDT")).toBe(false);
  expect(lacksOpening(known, place, "BTC")).toBe(true);
  expect(lacksOpening(known, { venue: "okx", account: "demo" }, "USDT")).toBe(true);
});

test("a code that the page does not know stays a number", () => {
  const { account: strange } = create(LedgerBalanceSchema, { account: CASH });
  expect(strange && accountText(Object.assign(strange, { code: 99 }))).toBe("code 99, USDT");
});
