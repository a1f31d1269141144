import type { WhyResponse } from "../gen/venuemesh/audit/v1/audit_pb";
import { type Event, EventStream, type StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import type { Order } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { ApprovedOrder } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { hexText } from "./bytes";

/** The columns of the picture, left to right. */
export const STAGES = ["signal", "decision", "verdict", "order", "fill", "posting"] as const;
export type Stage = (typeof STAGES)[number];

/** An order with all that is known of it. */
export interface OrderStory {
  /** Its request id, or the id at the venue of an order without one. */
  readonly key: string;
  readonly requestId: string;
  /** Undefined: no verdict of the chain has approved it. */
  readonly approved: ApprovedOrder | undefined;
  /** The event that tells of its hand-over. */
  readonly submitted: StoredEvent | undefined;
  /** Its states, oldest first. */
  readonly states: readonly StoredEvent[];
}

/** A box of the picture. */
export interface ChainNode {
  readonly key: string;
  readonly stage: Stage;
  /** The event, or of an order its newest one. Undefined: approved, and not seen at the venue. */
  readonly stored: StoredEvent | undefined;
  /** Set for an order. */
  readonly order: OrderStory | undefined;
  /** Whether the question is about it. */
  readonly isSubject: boolean;
}

/** An arrow of the picture. */
export interface ChainEdge {
  readonly from: string;
  readonly to: string;
}

/** Events that belong together, from a signal or a request to the books. */
export interface Chain {
  /** The lifecycle id in hexadecimal, or the key of its first box. */
  readonly key: string;
  /** By time. */
  readonly events: readonly StoredEvent[];
  readonly nodes: readonly ChainNode[];
  readonly edges: readonly ChainEdge[];
}

/** The chains of an answer, the newest first. */
export function chainsOf(answer: WhyResponse): readonly Chain[] {
  const subjects = new Set(answer.subjectIds.map(hexText));
  return groupsOf(answer)
    .map((events) => chainOf(events, answer, subjects))
    .sort((left, right) => newestFirst(left.events, right.events));
}

function chainOf(
  events: readonly StoredEvent[],
  answer: WhyResponse,
  subjects: ReadonlySet<string>,
): Chain {
  const orders = ordersOf(events);
  const nodes: ChainNode[] = [];
  for (const stored of events) {
    const { event } = stored;
    if (!event || isOfOrder(event)) continue;
    const key = hexText(event.eventId);
    const stage = stageOf(stored);
    nodes.push({ key, stage, stored, order: undefined, isSubject: subjects.has(key) });
  }
  for (const order of orders) {
    const stored = order.states.at(-1) ?? order.submitted;
    const isSubject = order.states.some(
      ({ event }) => event && subjects.has(hexText(event.eventId)),
    );
    nodes.push({ key: `order:${order.key}`, stage: "order", stored, order, isSubject });
  }
  const lifecycle = events.find(({ event }) => event && event.lifecycleId.length > 0)?.event;
  const key = lifecycle ? hexText(lifecycle.lifecycleId) : (nodes[0]?.key ?? "");
  return { key, events, nodes, edges: edgesOf(nodes, answer) };
}

/** Whether an event is shown as a part of its order. */
function isOfOrder({ payload }: Event): boolean {
  return (
    payload.case === "orderChanged" ||
    (payload.case === "ordersSubmitted" && payload.value.requestIds.length > 0)
  );
}

const STREAM_STAGES: Readonly<Partial<Record<EventStream, Stage>>> = {
  [EventStream.SIGNALS]: "signal",
  [EventStream.DECISIONS]: "decision",
  [EventStream.RISK]: "verdict",
  [EventStream.EXECUTIONS]: "fill",
};

/** The column of an event; of an unknown payload by its stream. */
export function stageOf({ event, position }: StoredEvent): Stage {
  switch (event?.payload.case) {
    case "signalRaised":
    case "orderRequested":
    case "proposalChanged":
      return "signal";
    case "decisionMade":
      return "decision";
    case "verdictGiven":
    case "modeChanged":
      return "verdict";
    case "ordersSubmitted":
    case "orderChanged":
      return "order";
    case "orderFilled":
    case "cashMoved":
      return "fill";
    case "postingsBooked":
    case "postingsRefused":
      return "posting";
    default:
      return STREAM_STAGES[position?.stream ?? EventStream.UNSPECIFIED] ?? "posting";
  }
}

/** The key of an order: what the caller has named it, so that an approval is found too. */
function orderKey({ requestId, clientOrderId, venueOrderId }: Order): string {
  return requestId || clientOrderId || venueOrderId;
}

function ordersOf(events: readonly StoredEvent[]): readonly OrderStory[] {
  const found = new Map<string, OrderStory>();
  const learn = (key: string, change: (story: OrderStory) => Partial<OrderStory>) => {
    const empty = { key, requestId: key, approved: undefined, submitted: undefined, states: [] };
    const known = found.get(key) ?? empty;
    found.set(key, { ...known, ...change(known) });
  };
  for (const stored of events) {
    const payload = stored.event?.payload;
    if (payload?.case === "verdictGiven") {
      for (const approved of payload.value.orders) learn(approved.requestId, () => ({ approved }));
    } else if (payload?.case === "ordersSubmitted") {
      for (const id of payload.value.requestIds) learn(id, () => ({ submitted: stored }));
    } else if (payload?.case === "orderChanged" && payload.value.order) {
      const { order } = payload.value;
      learn(orderKey(order), ({ states }) => ({
        requestId: order.requestId,
        states: [...states, stored],
      }));
    }
  }
  return [...found.values()];
}

/** The order of a state. */
export function orderOf({ event }: StoredEvent): Order | undefined {
  return event?.payload.case === "orderChanged" ? event.payload.value.order : undefined;
}

function edgesOf(nodes: readonly ChainNode[], { links }: WhyResponse): readonly ChainEdge[] {
  const nodeOfEvent = new Map<string, string>();
  for (const { key, stored, order } of nodes) {
    if (!order && stored?.event) nodeOfEvent.set(hexText(stored.event.eventId), key);
    for (const state of order?.states ?? []) {
      if (state.event) nodeOfEvent.set(hexText(state.event.eventId), key);
    }
  }
  const edges = new Map<string, ChainEdge>();
  const draw = (from: string | undefined, to: string | undefined) => {
    if (from !== undefined && to !== undefined && from !== to) {
      edges.set(`${from}>${to}`, { from, to });
    }
  };
  for (const { causeId, effectId } of links) {
    draw(nodeOfEvent.get(hexText(causeId)), nodeOfEvent.get(hexText(effectId)));
  }
  for (const node of nodes) {
    for (const cause of knownCauses(node, nodes)) draw(cause, node.key);
  }
  return [...edges.values()];
}

/** What a box follows from by what it says: ids of orders and of groups. */
function knownCauses(node: ChainNode, nodes: readonly ChainNode[]): readonly string[] {
  const { order, stored } = node;
  if (order) {
    const approvers = nodes.filter(({ stored: other }) => {
      const payload = other?.event?.payload;
      return (
        payload?.case === "verdictGiven" &&
        payload.value.orders.some(({ requestId }) => requestId === order.requestId)
      );
    });
    return approvers.map(({ key }) => key);
  }
  const payload = stored?.event?.payload;
  if (payload?.case === "orderFilled") {
    return nodes.filter((other) => isOrderOfFill(other.order, payload.value)).map(({ key }) => key);
  }
  if (payload?.case === "postingsBooked" || payload?.case === "postingsRefused") {
    const { groupId } = payload.value;
    return nodes.filter(({ key }) => `ev-${key}` === groupId).map(({ key }) => key);
  }
  return [];
}

type Filled = Extract<Event["payload"], { case: "orderFilled" }>["value"];

function isOrderOfFill(order: OrderStory | undefined, { fill, requestId }: Filled): boolean {
  if (!order || !fill) return false;
  if (requestId !== "" && order.requestId === requestId) return true;
  return order.states.some((state) => {
    const known = orderOf(state);
    return (
      (fill.clientOrderId !== "" && known?.clientOrderId === fill.clientOrderId) ||
      (fill.venueOrderId !== "" && known?.venueOrderId === fill.venueOrderId)
    );
  });
}

/** Events that belong together: by their lifecycle, by their links, by the order, by the group. */
function groupsOf({ events, links }: WhyResponse): readonly (readonly StoredEvent[])[] {
  const parents = new Map<string, string>();
  const root = (key: string): string => {
    const parent = parents.get(key);
    return parent === undefined || parent === key ? key : root(parent);
  };
  const join = (left: string, right: string) => parents.set(root(left), root(right));
  for (const { causeId, effectId } of links) join(hexText(causeId), hexText(effectId));
  for (const { event } of events) {
    if (!event) continue;
    for (const name of belongings(event)) join(hexText(event.eventId), name);
  }
  const groups = new Map<string, StoredEvent[]>();
  for (const stored of events) {
    if (!stored.event) continue;
    const key = root(hexText(stored.event.eventId));
    groups.set(key, [...(groups.get(key) ?? []), stored]);
  }
  return [...groups.values()];
}

/** Names that events of one chain share. */
function belongings({ eventId, lifecycleId, payload }: Event): readonly string[] {
  const names = [`group:ev-${hexText(eventId)}`];
  if (lifecycleId.length > 0) return [...names, `lifecycle:${hexText(lifecycleId)}`];
  if (payload.case === "orderChanged") {
    const { clientOrderId = "", venueOrderId = "" } = payload.value.order ?? {};
    names.push(`order:${clientOrderId || venueOrderId}`);
  } else if (payload.case === "orderFilled") {
    const { clientOrderId = "", venueOrderId = "" } = payload.value.fill ?? {};
    names.push(`order:${clientOrderId || venueOrderId}`);
  } else if (payload.case === "postingsBooked" || payload.case === "postingsRefused") {
    names.push(`group:${payload.value.groupId}`);
  }
  return names;
}

function newestFirst(left: readonly StoredEvent[], right: readonly StoredEvent[]): number {
  const [one, other] = [left, right].map((events) => events[0]?.event?.timeNs ?? 0n);
  return (one ?? 0n) < (other ?? 0n) ? 1 : -1;
}
