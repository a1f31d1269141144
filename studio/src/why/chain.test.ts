import { expect, test } from "vitest";

import { EventStream } from "../gen/venuemesh/events/v1/event_pb";
import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { type Chain, chainsOf } from "./chain";
import { answerOf, booked, filled, made, orderState, wholeChain } from "./exampleChain";
import { nodeText } from "./payloads";

/** The arrows of a chain, each end by its stage and what it says. */
function arrows({ nodes, edges }: Chain) {
  const name = (wanted: string) => {
    const node = nodes.find(({ key }) => key === wanted);
    return node ? `${node.stage} ${nodeText(node).title}` : wanted;
  };
  return edges.map(({ from, to }) => `${name(from)} > ${name(to)}`).sort();
}

test("a whole chain leads from the signal to the postings", () => {
  const chains = chainsOf(answerOf(wholeChain(), 7));
  expect(chains).toHaveLength(1);
  expect(chains.map(arrows)[0]).toEqual([
    "decision intent issued > verdict allow",
    "fill Buy 0.01 > posting booked",
    "order filled > fill Buy 0.01",
    "signal ema_cross > decision intent issued",
    "verdict allow > order filled",
    "verdict allow > order taken",
  ]);
  const subjects = chains[0]?.nodes.filter(({ isSubject }) => isSubject);
  expect(subjects?.map(({ stage }) => stage)).toEqual(["fill"]);
});

test("all states of an order are one box, with its approval and its hand-over", () => {
  const [chain] = chainsOf(answerOf(wholeChain(), 5));
  const orders = chain?.nodes.filter(({ stage }) => stage === "order") ?? [];
  expect(orders.map(({ order }) => [order?.requestId, order?.states.length])).toEqual([
    ["lc-1", 2],
    ["lc-2", 0],
  ]);
  expect(orders.map(({ order }) => order?.approved?.keyId)).toEqual(["inspector", "inspector"]);
  expect(orders.every(({ order }) => order?.submitted)).toBe(true);
  expect(orders.map(({ isSubject }) => isSubject)).toEqual([true, false]);
});

test("an order outside of lifecycles has its fills and their postings", () => {
  const [one, other] = [filled(12, "a"), filled(13, "a")];
  const events = [
    orderState(11, OrderState.OPEN, "a"),
    ...[one, other, booked(14, one), booked(15, other)],
    // Another order of the same account.
    orderState(20, OrderState.OPEN, "b"),
  ];
  const chains = chainsOf(answerOf(events));
  expect(chains.map(({ events: own }) => own.length)).toEqual([1, 5]);
  expect(chains.map(arrows)[1]).toEqual([
    "fill Buy 0.01 > posting booked",
    "fill Buy 0.01 > posting booked",
    "order open > fill Buy 0.01",
    "order open > fill Buy 0.01",
  ]);
});

test("a payload that the page does not know is placed by its stream", () => {
  const strange = made({
    number: 9,
    stream: EventStream.DECISIONS,
    lifecycle: 1,
    causes: [2],
    payload: { case: undefined },
  });
  const [chain] = chainsOf(answerOf([...wholeChain(), strange]));
  const found = chain?.nodes.filter(({ stage }) => stage === "decision");
  expect(found?.map((node) => nodeText(node).title)).toEqual(["intent issued", "no payload"]);
});

test("chains of a position are told apart, the newest first", () => {
  const later = [filled(30, "x", 29), filled(31, "x", 29)];
  const chains = chainsOf(answerOf([...wholeChain(), ...later]));
  expect(chains.map(({ events }) => events.length)).toEqual([2, 8]);
});
