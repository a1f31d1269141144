import { events } from "../api/transport";
import { type Event, EventStream, type StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import type { Question } from "../route";
import { EventFeed } from "../state/eventFeed";
import { hexText } from "./bytes";
import { type Stage, stageOf } from "./chain";
import { eventText, type NodeText, nodeText } from "./payloads";

export const CHAINS_MAX = 100;
const STREAMS = [
  EventStream.SIGNALS,
  EventStream.DECISIONS,
  EventStream.RISK,
  EventStream.EXECUTIONS,
];

/** A chain in the list. */
export interface ChainRow {
  readonly key: string;
  readonly question: Question;
  /** Who began it: a strategy or a caller. Empty: not known, or nobody did through the mesh. */
  readonly begunBy: string;
  /** "binance/demo BTCUSDT". Empty: not known. */
  readonly where: string;
  /** ns since the Unix epoch. */
  readonly newestTimeNs: bigint;
  /** What was reached, with the newest words of each. */
  readonly reached: ReadonlyMap<Stage, NodeText>;
}

/** The newest first, at most CHAINS_MAX. */
export type ChainList = readonly ChainRow[];

/** The newest chains, and those that begin while the page is open. */
export function chainFeed(client = events): EventFeed<ChainList> {
  return new EventFeed(STREAMS, [], addEvents, client);
}

/** The list with further events. An event that was counted changes nothing. */
export function addEvents(list: ChainList, events: readonly StoredEvent[]): ChainList {
  const rows = new Map(list.map((row) => [row.key, row]));
  for (const stored of events) {
    const { event } = stored;
    const key = event && keyOf(event);
    if (!event || key === undefined) continue;
    rows.set(key, addEvent(rows.get(key), key, stored, event));
  }
  return [...rows.values()]
    .sort((left, right) => (left.newestTimeNs < right.newestTimeNs ? 1 : -1))
    .slice(0, CHAINS_MAX);
}

function addEvent(
  before: ChainRow | undefined,
  key: string,
  stored: StoredEvent,
  event: Event,
): ChainRow {
  const isNewest = !before || event.timeNs >= before.newestTimeNs;
  const stage = stageOf(stored);
  const reached = new Map(before?.reached);
  if (isNewest || !reached.has(stage)) reached.set(stage, textOf(stored, event));
  return {
    key,
    question: before?.question ?? { about: "event", eventId: hexText(event.eventId) },
    begunBy: known(before?.begunBy, begunBy(event)),
    where: known(before?.where, whereOf(event)),
    newestTimeNs: isNewest ? event.timeNs : before.newestTimeNs,
    reached,
  };
}

function known(before: string | undefined, now: string): string {
  return before === undefined || before === "" ? now : before;
}

function textOf(stored: StoredEvent, event: Event): NodeText {
  if (event.payload.case !== "orderChanged") return eventText(event);
  const order = {
    key: "",
    requestId: "",
    approved: undefined,
    submitted: undefined,
    states: [stored],
  };
  return nodeText({ key: "", stage: "order", stored, order, isSubject: false });
}

/** The chain of an event: its lifecycle, or its order. Undefined: it is of no chain. */
function keyOf({ lifecycleId, payload }: Event): string | undefined {
  if (lifecycleId.length > 0) return hexText(lifecycleId);
  const place = placeOf(payload);
  const order = payload.case === "orderChanged" ? payload.value.order : undefined;
  const named = payload.case === "orderFilled" ? payload.value.fill : order;
  if (!place || !named) return undefined;
  return `${place.venue}/${place.account}/${named.clientOrderId || named.venueOrderId}`;
}

function begunBy({ payload }: Event): string {
  if (payload.case === "signalRaised") return payload.value.strategy;
  return payload.case === "orderRequested" ? payload.value.caller : "";
}

function whereOf({ payload }: Event): string {
  const place = placeOf(payload);
  return place ? `${place.venue}/${place.account} ${place.symbol}` : "";
}

function placeOf(payload: Event["payload"]) {
  switch (payload.case) {
    case "signalRaised":
      return payload.value;
    case "decisionMade":
      return payload.value.intent;
    case "orderRequested":
      return payload.value.content;
    case "orderChanged":
      return payload.value.order?.content;
    case "orderFilled":
      return payload.value.fill;
    default:
      return undefined;
  }
}
