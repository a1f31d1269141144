import { type JsonValue, toJson } from "@bufbuild/protobuf";

import { type Event, EventSchema } from "../gen/venuemesh/events/v1/event_pb";
import { CashFlowKind } from "../gen/venuemesh/tradeflow/v1/cash_flows_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { DecisionOutcome, type ExecutionIntent } from "../gen/venuemesh/events/v1/decisions_pb";
import { CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import {
  ProposalState,
  SubmissionOutcome,
  TradingMode,
  Verdict,
} from "../gen/venuemesh/events/v1/risk_pb";
import { PositionAction } from "../gen/venuemesh/events/v1/signals_pb";
import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { Side } from "../gen/venuemesh/common/v1/types_pb";
import { priceText, sideLabel, stateLabel, typeLabel } from "../orders/labels";
import { hexText } from "./bytes";
import { type ChainNode, orderOf } from "./chain";
import { enumText } from "./enumText";

/** How a box looks: something good, bad, to be noted, or neither. */
export type Tone = "good" | "bad" | "warn" | "plain";

/** What a box says. */
export interface NodeText {
  readonly title: string;
  readonly fact: string;
  readonly tone: Tone;
}

export function nodeText({ stored, order }: ChainNode): NodeText {
  if (order) return orderNodeText(order.states.map(orderOf).at(-1), order);
  return stored?.event ? eventText(stored.event) : { title: "nothing", fact: "", tone: "plain" };
}

/** The main facts of an event in two lines. */
export function eventText(event: Event): NodeText {
  const { payload } = event;
  switch (payload.case) {
    case "signalRaised": {
      const { strategy, action, side, symbol } = payload.value;
      return { title: strategy, fact: wantText(action, side, symbol), tone: "plain" };
    }
    case "orderRequested": {
      const { caller, operation, content } = payload.value;
      const what = content ? `${sideText(content.side)} ${content.size} ${content.symbol}` : "";
      return { title: caller, fact: `${enumText(Operation, operation)} ${what}`, tone: "plain" };
    }
    case "proposalChanged": {
      const { state, requested, decidedBy } = payload.value;
      const fact = decidedBy === "" ? `by ${requested?.caller ?? ""}` : `by ${decidedBy}`;
      return { title: `proposal ${enumText(ProposalState, state)}`, fact, tone: "plain" };
    }
    case "decisionMade": {
      const { outcome, intent } = payload.value;
      const tone = outcome === DecisionOutcome.INTENT_ISSUED ? "good" : "bad";
      const title = enumText(DecisionOutcome, outcome) || "no outcome";
      return { title, fact: intent ? intentText({ ...intent, symbol: "" }) : "no order", tone };
    }
    case "verdictGiven": {
      const { verdict, checks, mode } = payload.value;
      const bad = checks.filter(({ result }) => result === CheckResult.BLOCKED).length;
      const count = bad ? `${bad} of ${checks.length} block` : `${checks.length} checks passed`;
      const tone = verdict === Verdict.ALLOW ? "good" : "bad";
      const title = enumText(Verdict, verdict) || "no verdict";
      return { title, fact: `${count}, ${enumText(TradingMode, mode)}`, tone };
    }
    case "ordersSubmitted": {
      const { outcome, refusalReason } = payload.value;
      const tone = outcome === SubmissionOutcome.TAKEN ? "good" : "bad";
      return { title: enumText(SubmissionOutcome, outcome), fact: refusalReason, tone };
    }
    case "stopTrailed": {
      const { before, after, amendment } = payload.value;
      const title = amendment ? "stop follows" : "stop follows here";
      return { title, fact: `${before} to ${after}`, tone: "plain" };
    }
    case "orderFilled": {
      const { fill } = payload.value;
      if (!fill) return { title: "a fill", fact: "", tone: "plain" };
      const title = `${sideText(fill.side)} ${fill.size} ${fill.sizeUnit}`.trim();
      return { title, fact: `at ${fill.price}`, tone: "good" };
    }
    case "cashMoved": {
      const { cashFlow } = payload.value;
      const title = enumText(CashFlowKind, cashFlow?.kind ?? 0);
      return { title, fact: `${cashFlow?.amount ?? ""} ${cashFlow?.asset ?? ""}`, tone: "plain" };
    }
    case "postingsBooked":
      return { title: "booked", fact: `${payload.value.postings} postings`, tone: "good" };
    case "postingsRefused":
      return { title: "refused", fact: payload.value.reason, tone: "bad" };
    default:
      return { title: payloadName(event), fact: event.source, tone: "plain" };
  }
}

function orderNodeText(
  newest: ReturnType<typeof orderOf>,
  { approved, submitted }: NonNullable<ChainNode["order"]>,
): NodeText {
  const content = newest?.content ?? approved?.content;
  const price = content ? priceText(content) : "";
  const fact = content ? `${sideText(content.side)} ${content.size} ${price}` : "content not known";
  if (newest) return { title: stateLabel(newest.state), fact, tone: orderTone(newest.state) };
  const payload = submitted?.event?.payload;
  if (payload?.case !== "ordersSubmitted") {
    return { title: "approved", fact: `${fact}, not seen at the venue`, tone: "warn" };
  }
  const { outcome } = payload.value;
  const tone = outcome === SubmissionOutcome.TAKEN ? "plain" : "bad";
  return { title: enumText(SubmissionOutcome, outcome) || "handed over", fact, tone };
}

function orderTone(state: OrderState): Tone {
  if (state === OrderState.FILLED) return "good";
  if (state === OrderState.UNKNOWN) return "warn";
  return state === OrderState.REJECTED ? "bad" : "plain";
}

/** "open, Buy, BTCUSDT". */
function wantText(action: PositionAction, side: Side, symbol: string): string {
  return `${enumText(PositionAction, action)} ${sideText(side)} ${symbol}`;
}

/** "Buy 0.01 BTCUSDT limit 60000". */
export function intentText({ action, side, size, symbol, type, price }: ExecutionIntent): string {
  const amount = size === "" ? enumText(PositionAction, action) : size;
  const words = [sideText(side), amount, symbol, price === "" ? typeLabel(type) : `at ${price}`];
  return words.filter((word) => word !== "").join(" ");
}

export function sideText(side: Side): string {
  return sideLabel(side);
}

/** The name of a payload as the contract has it: "mode_changed". */
export function payloadName(event: Event): string {
  const name = event.payload.case;
  if (name !== undefined) return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const unknown = event.$unknown?.map(({ no }) => no).join(", ");
  return unknown === undefined ? "no payload" : `payload ${unknown}, newer than this page`;
}

/** The payload as JSON; of an unknown one the bytes. */
export function payloadJson(event: Event): string {
  const json = toJson(EventSchema, event) as Readonly<Record<string, JsonValue>>;
  const name = event.payload.case;
  if (name !== undefined) return JSON.stringify(json[name], undefined, 2);
  const fields = (event.$unknown ?? []).map(({ no, data }) => [no, hexText(data)]);
  return JSON.stringify(
    { ...json, unknownFields: Object.fromEntries(fields) as JsonValue },
    undefined,
    2,
  );
}

/** Whether the page has a card of its own for the payload of an event. */
export function isKnownKind({ payload }: Event): boolean {
  switch (payload.case) {
    case "signalRaised":
    case "orderRequested":
    case "decisionMade":
    case "verdictGiven":
    case "ordersSubmitted":
    case "orderChanged":
    case "orderFilled":
    case "postingsBooked":
    case "postingsRefused":
      return true;
    default:
      return false;
  }
}
