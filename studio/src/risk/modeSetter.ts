import { describeFailure, type Failure } from "../api/failure";
import { inspector } from "../api/transport";
import type { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import { FrameStore } from "../state/frameStore";

/** How far a change of a mode is. */
export interface ModeChange {
  readonly phase: "asked" | "sending" | "failed" | "done";
  readonly failure?: Failure;
  /** Accounts that may still take entries that were approved before. */
  readonly unfenced: readonly string[];
}

const ASKED: ModeChange = { phase: "asked", unfenced: [] };

/** Sets a mode once. Setting it again has the same effect, so a failed call may be repeated. */
export class ModeSetter {
  readonly change = new FrameStore<ModeChange>(ASKED);
  readonly #client: Pick<typeof inspector, "setMode">;

  constructor(client: Pick<typeof inspector, "setMode"> = inspector) {
    this.#client = client;
  }

  async set(scope: string, mode: TradingMode, reason: string): Promise<void> {
    if (this.change.latest.phase === "sending") return;
    this.change.set({ ...ASKED, phase: "sending" });
    try {
      const answer = await this.#client.setMode({ scope, mode, reason });
      this.change.set({ phase: "done", unfenced: answer.mode?.unfencedAccounts ?? [] });
    } catch (error) {
      this.change.set({ ...ASKED, phase: "failed", failure: describeFailure(error) });
    }
  }
}
