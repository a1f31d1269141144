import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, expect, it, vi } from "vitest";

import { Role } from "../gen/venuemesh/access/v1/access_pb";
import { type Token, TokenSchema } from "../gen/venuemesh/access/v1/tokens_pb";
import { Repair } from "../gen/venuemesh/repair/v1/repair_pb";
import { Live } from "../gen/venuemesh/live/v1/live_pb";
import { refusalOf, rolesText } from "./refusal";
import { Session, type SessionCalls, timeLeft } from "./session";

const HOUR_MS = 3_600_000;

function token(issuedMs: number, ...roles: Role[]): Token {
  const issuedTimeNs = BigInt(issuedMs) * 1_000_000n;
  const expiresTimeNs = BigInt(issuedMs + 12 * HOUR_MS) * 1_000_000n;
  return create(TokenSchema, { caller: "lena", roles, issuedTimeNs, expiresTimeNs });
}

/** A gateway with one session, and a browser that remembers where it was sent. */
class FakeCalls implements SessionCalls {
  nowMs = () => this.now;
  now = 0;
  shown: Token | Error = token(0, Role.VIEWER);
  accepts = true;
  readonly posted: string[] = [];
  readonly left: string[] = [];

  caller = () =>
    this.shown instanceof Error ? Promise.reject(this.shown) : Promise.resolve(this.shown);
  post = (path: string) => {
    this.posted.push(path);
    if (path === "/session/renew") this.shown = token(this.now, Role.VIEWER);
    return Promise.resolve(this.accepts);
  };
  leaveTo = (address: string) => void this.left.push(address);
  place = () => "/#/market/kraken/BTC%2FUSD/1m";
}

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", (callback: () => void) => {
    callback();
  });
});

it("renews a session when half of its time is over", async () => {
  const calls = new FakeCalls();
  const session = new Session(calls);
  calls.now = 6 * HOUR_MS;
  await session.check();
  expect(calls.posted).toEqual([]);
  calls.now += 1;
  await session.check();
  expect(calls.posted).toEqual(["/session/renew"]);
  expect(session.caller.latest?.issuedTimeNs).toBe(BigInt(calls.now) * 1_000_000n);
});

it("goes to the page for signing in, which leads back", async () => {
  const calls = new FakeCalls();
  calls.shown = new ConnectError("no token", Code.Unauthenticated);
  await new Session(calls).check();
  expect(calls.left).toEqual(["/sign-in?next=%2F%23%2Fmarket%2Fkraken%2FBTC%252FUSD%2F1m"]);
});

it("stays while the gateway is away", async () => {
  const calls = new FakeCalls();
  calls.shown = new ConnectError("away", Code.Unavailable);
  await new Session(calls).check();
  expect(calls.left).toEqual([]);
});

it("asks once for calls that are refused together", async () => {
  const calls = new FakeCalls();
  const caller = vi.spyOn(calls, "caller");
  const session = new Session(calls);
  await Promise.all([session.check(), session.check()]);
  expect(caller).toHaveBeenCalledTimes(1);
});

it("leaves after signing out, and not when that failed", async () => {
  const calls = new FakeCalls();
  const session = new Session(calls);
  calls.accepts = false;
  await session.signOut();
  expect(calls.left).toEqual([]);
  calls.accepts = true;
  await session.signOut();
  expect(calls.left).toEqual(["/sign-in"]);
});

it("says the time left", () => {
  const issued = token(0, Role.VIEWER);
  expect(timeLeft(issued, 0)).toBe("12 h");
  expect(timeLeft(issued, 11.5 * HOUR_MS)).toBe("30 min");
  expect(timeLeft(issued, 13 * HOUR_MS)).toBe("0 min");
  expect(timeLeft(create(TokenSchema), 0)).toBe("");
});

it("refuses what the contract reserves for other roles, and says why", () => {
  const viewer = token(0, Role.VIEWER);
  const operator = token(0, Role.VIEWER, Role.OPERATOR);
  expect(refusalOf(Repair.method.startRepair, viewer)).toBe(
    "This needs the role operator; you have viewer.",
  );
  expect(refusalOf(Repair.method.startRepair, operator)).toBeUndefined();
  expect(refusalOf(Live.method.subscribe, viewer)).toBeUndefined();
  expect(refusalOf(Repair.method.startRepair, undefined)).toBeUndefined();
  expect(rolesText(operator)).toBe("operator");
  expect(rolesText(viewer)).toBe("viewer");
});
