import { CONNECTING, follow, type StreamState } from "../api/stream";
import { ledger } from "../api/transport";
import { FrameStore } from "../state/frameStore";
import { applyEntries, NO_BALANCES } from "./ledgerBalances";

/** The stream of all that the ledger books. Each stream begins with all balances. */
export class LedgerFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  readonly balances = new FrameStore(NO_BALANCES);
  readonly #client: Pick<typeof ledger, "streamEntries">;

  constructor(client: Pick<typeof ledger, "streamEntries"> = ledger) {
    this.#client = client;
  }

  start(): () => void {
    return follow((options) => this.#client.streamEntries({}, options), {
      onMessage: (message) => {
        this.balances.set(applyEntries(this.balances.latest, message));
      },
      onState: (state) => {
        this.state.set(state);
      },
    });
  }
}
