import { Code, ConnectError } from "@connectrpc/connect";

import { waitMs } from "../api/retry";
import { onUnauthenticated, tokens } from "../api/transport";
import type { Token } from "../gen/venuemesh/access/v1/tokens_pb";
import { FrameStore } from "../state/frameStore";

const CHECK_MS = 60_000;
const MEANT = { "x-venuemesh-request": "1" };
const SIGN_IN = "/sign-in";

/** What a session needs of the gateway and of the browser. */
export interface SessionCalls {
  readonly caller: () => Promise<Token | undefined>;
  /** Posts to a page of the gateway. Returns whether it was accepted. */
  readonly post: (path: string) => Promise<boolean>;
  readonly leaveTo: (address: string) => void;
  /** The address of what is shown, within the gateway. */
  readonly place: () => string;
  readonly nowMs: () => number;
}

const CALLS: SessionCalls = {
  caller: async () => (await tokens.getCaller({})).token,
  post: (path) =>
    fetch(path, { method: "POST", headers: MEANT }).then(
      (answer) => answer.ok,
      () => false,
    ),
  leaveTo: (address) => {
    window.location.assign(address);
  },
  place: () => window.location.pathname + window.location.hash,
  nowMs: () => Date.now(),
};

/** The session of this browser: who is signed in, and until when. */
export class Session {
  readonly caller = new FrameStore<Token | undefined>(undefined);
  /** Time left in words. */
  readonly left = new FrameStore("");
  readonly #calls: SessionCalls;
  #checking: Promise<void> | undefined;

  constructor(calls: SessionCalls = CALLS) {
    this.#calls = calls;
  }

  /** Reads who is signed in, and renews the session when half of its time is over. */
  start(): () => void {
    const controller = new AbortController();
    onUnauthenticated(() => void this.check());
    void this.#run(controller.signal);
    return () => {
      controller.abort();
    };
  }

  /** Leaves to the page for signing in if there is no session: a stream ends with the token that it
   * was opened with, also when that was renewed. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async signOut(): Promise<void> {
    if (await this.#calls.post("/sign-out")) this.#calls.leaveTo(SIGN_IN);
    else await this.check();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.check();
      await waitMs(CHECK_MS, signal);
    }
  }

  async #check(): Promise<void> {
    try {
      let caller = await this.#calls.caller();
      if (caller && isHalfOver(caller, this.#calls.nowMs())) {
        if (await this.#calls.post("/session/renew")) caller = await this.#calls.caller();
      }
      this.caller.set(caller);
      this.left.set(caller ? timeLeft(caller, this.#calls.nowMs()) : "");
    } catch (error) {
      // While the gateway is away, the session may well be valid.
      if (ConnectError.from(error).code !== Code.Unauthenticated) return;
      this.#calls.leaveTo(`${SIGN_IN}?next=${encodeURIComponent(this.#calls.place())}`);
    }
  }
}

/** Time left in words; empty for a session that does not end. */
export function timeLeft({ expiresTimeNs }: Token, nowMs: number): string {
  if (expiresTimeNs === 0n) return "";
  const minutes = Math.max(0, Math.floor((Number(expiresTimeNs / 1_000_000n) - nowMs) / 60_000));
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

function isHalfOver({ issuedTimeNs, expiresTimeNs }: Token, nowMs: number): boolean {
  if (expiresTimeNs === 0n) return false;
  return BigInt(nowMs) * 1_000_000n > (issuedTimeNs + expiresTimeNs) / 2n;
}

export const session = new Session();
