import { events } from "../api/transport";
import { type Event, EventStream, type StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import {
  type SignalRaised,
  StrategyRunState,
  type StrategyStateChanged,
} from "../gen/venuemesh/events/v1/signals_pb";
import { EventFeed } from "../state/eventFeed";
import { enumText } from "../why/enumText";
import type { InstanceKey } from "./instances";

const ROWS_MAX = 400;

/** What has happened to an instance: it raised a signal, or it started, failed or was stopped. */
export type TimelineRow = {
  readonly sequence: bigint;
  readonly eventId: Uint8Array;
  /** End of the bar of the signal, or time of the change. ns since the Unix epoch. */
  readonly timeNs: bigint;
} & (
  | { readonly kind: "signal"; readonly signal: SignalRaised }
  | { readonly kind: "state"; readonly changed: StrategyStateChanged }
);

export type SignalRow = Extract<TimelineRow, { kind: "signal" }>;

/** Newest first. */
export type Timeline = readonly TimelineRow[];

/** The newest signals and states of an instance, and those that come. */
export function timelineFeed(key: InstanceKey, client = events): EventFeed<Timeline> {
  const { strategy, venue, symbol } = key;
  const subjects = [`strategy:${strategy}`, `strategy_state:${strategy}/${venue}/${symbol}`];
  const add = (before: Timeline, found: readonly StoredEvent[]) => addEvents(before, found, key);
  return new EventFeed([EventStream.SIGNALS], [], add, client, subjects);
}

/** The timeline with further events; those of others are left out. */
export function addEvents(
  before: Timeline,
  found: readonly StoredEvent[],
  key: InstanceKey,
): Timeline {
  const rows = new Map(before.map((row) => [row.sequence, row]));
  for (const { event, position } of found) {
    const row = event && position && rowOf(event, position.sequence, key);
    if (row) rows.set(row.sequence, row);
  }
  return [...rows.values()]
    .sort((left, right) => (left.sequence < right.sequence ? 1 : -1))
    .slice(0, ROWS_MAX);
}

function rowOf(event: Event, sequence: bigint, key: InstanceKey): TimelineRow | undefined {
  const { payload, eventId, timeNs } = event;
  if (payload.case !== "signalRaised" && payload.case !== "strategyStateChanged") return undefined;
  const { strategy, venue, symbol } = payload.value;
  if (strategy !== key.strategy || venue !== key.venue || symbol !== key.symbol) return undefined;
  const place = { sequence, eventId, timeNs };
  if (payload.case === "signalRaised") return { ...place, kind: "signal", signal: payload.value };
  return { ...place, kind: "state", changed: payload.value };
}

export function signalRows(timeline: Timeline): readonly SignalRow[] {
  return timeline.filter((row) => row.kind === "signal");
}

/** "running", or "failed: example.py:3: KeyError". */
export function stateRowText({ state, detail }: StrategyStateChanged): string {
  const word = enumText(StrategyRunState, state);
  return detail === "" ? word : `${word}: ${detail}`;
}

/** In how many of the signals a rule or an exit had a part. */
export function signalCount(rows: readonly SignalRow[], name: string): number {
  return rows.filter(({ signal }) =>
    signal.rules.some(({ rule, score }) => rule === name && score !== undefined && score !== 0),
  ).length;
}
