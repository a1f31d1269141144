import { retryUntilAnswered } from "../api/retry";
import { CONNECTING, follow, type StreamState } from "../api/stream";
import { events } from "../api/transport";
import type { EventStream, StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import type { SubscribeResponse } from "../gen/venuemesh/events/v1/events_pb";
import { FrameStore } from "./frameStore";

/** Events of each stream from before the page was opened. */
const PAST_MAX = 200;

/** What is made of the newest events of some streams, and of those that come. */
export class EventFeed<Value> {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  /** Undefined until the past was read, or an event came. */
  readonly value = new FrameStore<Value | undefined>(undefined);
  readonly #streams: EventStream[];
  readonly #empty: Value;
  readonly #add: (before: Value, events: readonly StoredEvent[]) => Value;
  readonly #client: Pick<typeof events, "subscribe" | "listEvents">;
  readonly #subjects: readonly string[];

  /**
   * `add` may get an event twice, and those of the past after newer ones. With `subjects`, those of
   * the past are about these; others come too.
   */
  constructor(
    streams: EventStream[],
    empty: Value,
    add: (before: Value, events: readonly StoredEvent[]) => Value,
    client: Pick<typeof events, "subscribe" | "listEvents"> = events,
    subjects: readonly string[] = [],
  ) {
    this.#streams = streams;
    this.#empty = empty;
    this.#add = add;
    this.#client = client;
    this.#subjects = subjects;
  }

  start(): () => void {
    const controller = new AbortController();
    const request = { streams: this.#streams };
    const stop = follow((options) => this.#client.subscribe(request, options), {
      onMessage: (message) => {
        // The first message has no events, and says where the streams are.
        if (message.events.length === 0) void this.#loadPast(message, controller.signal);
        else this.#take(message.events);
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

  #take(found: readonly StoredEvent[]): void {
    this.value.set(this.#add(this.value.latest ?? this.#empty, found));
  }

  async #loadPast({ positions }: SubscribeResponse, signal: AbortSignal): Promise<void> {
    const requests = positions.flatMap(({ stream, sequence }) => {
      const past = sequence > BigInt(PAST_MAX) ? sequence - BigInt(PAST_MAX) : 0n;
      const about = this.#subjects.map((subject) => ({ subject, newestFirst: true }));
      const wanted = about.length > 0 ? about : [{ afterSequence: past }];
      return wanted.map((one) => ({ stream, pageSize: PAST_MAX, ...one }));
    });
    const pages = requests.map((request) =>
      retryUntilAnswered(
        () => this.#client.listEvents(request, { signal }),
        signal,
        (failure) => {
          this.state.set({ phase: failure.isRejected ? "error" : "reconnecting", failure });
        },
      ),
    );
    const found = (await Promise.all(pages)).flatMap((page) => page?.events ?? []);
    if (!signal.aborted) this.#take(found);
  }
}
