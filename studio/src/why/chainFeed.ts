import { retryUntilAnswered } from "../api/retry";
import { CONNECTING, follow, type StreamState } from "../api/stream";
import { events } from "../api/transport";
import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import type { SubscribeResponse } from "../gen/venuemesh/events/v1/events_pb";
import { FrameStore } from "../state/frameStore";
import { addEvents, type ChainList } from "./newestChains";

const STREAMS = [
  EventStream.SIGNALS,
  EventStream.DECISIONS,
  EventStream.RISK,
  EventStream.EXECUTIONS,
];
/** Events of each stream from before the page was opened. */
const PAST_MAX = 200;

/** The newest chains, and those that begin while the page is open. */
export class ChainFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  /** Undefined until the past was read. */
  readonly chains = new FrameStore<ChainList | undefined>(undefined);
  readonly #client: Pick<typeof events, "subscribe" | "listEvents">;

  constructor(client: Pick<typeof events, "subscribe" | "listEvents"> = events) {
    this.#client = client;
  }

  start(): () => void {
    const controller = new AbortController();
    const stop = follow((options) => this.#client.subscribe({ streams: STREAMS }, options), {
      onMessage: (message) => {
        // The first message has no events, and says where the streams are.
        if (message.events.length === 0) void this.#loadPast(message, controller.signal);
        else this.chains.set(addEvents(this.chains.latest ?? [], message.events));
      },
      onState: (state) => {
        this.state.set(state);
      },
    });
    return () => {
      controller.abort();
      stop();
    };
  }

  async #loadPast({ positions }: SubscribeResponse, signal: AbortSignal): Promise<void> {
    const pages = positions.map(({ stream, sequence }) => {
      const past = sequence > BigInt(PAST_MAX) ? sequence - BigInt(PAST_MAX) : 0n;
      const request = { stream, afterSequence: past, pageSize: PAST_MAX };
      return retryUntilAnswered(
        () => this.#client.listEvents(request, { signal }),
        signal,
        (failure) => {
          this.state.set({ phase: failure.isRejected ? "error" : "reconnecting", failure });
        },
      );
    });
    const found = (await Promise.all(pages)).flatMap((page) => page?.events ?? []);
    if (!signal.aborted) this.chains.set(addEvents(this.chains.latest ?? [], found));
  }
}
