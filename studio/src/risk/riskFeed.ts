import { CONNECTING, follow, type StreamState } from "../api/stream";
import { events } from "../api/transport";
import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import { FrameStore } from "../state/frameStore";

/** Verdicts, modes, policies and outcomes of orders as they are stored: says when to ask again. */
export class RiskFeed {
  readonly state = new FrameStore<StreamState>(CONNECTING);
  readonly #client: Pick<typeof events, "subscribe">;
  readonly #onChange: () => void;

  constructor(onChange: () => void, client: Pick<typeof events, "subscribe"> = events) {
    this.#onChange = onChange;
    this.#client = client;
  }

  start(): () => void {
    const request = { streams: [EventStream.RISK] };
    return follow((options) => this.#client.subscribe(request, options), {
      onMessage: (message) => {
        // The first message has no events.
        if (message.events.length > 0) this.#onChange();
      },
      onState: (state) => {
        this.state.set(state);
      },
    });
  }
}
