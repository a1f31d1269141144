import { expect, test } from "vitest";

import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { type Chain, chainsOf } from "./chain";
import { delayMs, layoutOf, NODES_MAX } from "./chainLayout";
import { answerOf, filled, orderState, wholeChain } from "./exampleChain";

function chainOf(...parameters: Parameters<typeof answerOf>): Chain {
  const [chain] = chainsOf(answerOf(...parameters));
  if (!chain) throw new Error("no chain");
  return chain;
}

test("each stage is a column, and boxes beside each other are at the same height", () => {
  const { columns, edges, height } = layoutOf(chainOf(wholeChain()));
  expect(columns.map(({ stage, nodes }) => [stage, nodes.length])).toEqual([
    ["signal", 1],
    ["decision", 1],
    ["verdict", 1],
    ["order", 2],
    ["fill", 1],
    ["posting", 1],
  ]);
  const tops = columns.map(({ nodes }) => nodes[0]?.top ?? 0);
  expect(tops[0]).toBe(tops[1]);
  expect(height).toBeGreaterThan((columns[3]?.nodes[1]?.top ?? 0) + 60);
  expect(edges).toHaveLength(6);
});

test("fills are in the order of their orders", () => {
  const events = [
    ...["a", "b", "c"].map((name, at) => orderState(10 + at, OrderState.OPEN, name, 1)),
    ...["c", "a", "b"].map((name, at) => filled(20 + at, name, 1)),
  ];
  const [, , , orders, fills] = layoutOf(chainOf(events)).columns;
  const place = (name: string) => orders?.nodes.findIndex(({ node }) => node.order?.key === name);
  expect(["a", "b", "c"].map(place)).toEqual([0, 1, 2]);
  const drawn = fills?.nodes.map(({ node }) => node.stored?.event?.timeNs);
  expect(drawn).toEqual([21_000_000n, 22_000_000n, 20_000_000n]);
});

test("a column has a bound, and counts the rest", () => {
  const events = Array.from({ length: NODES_MAX + 3 }, (_, at) => filled(20 + at, "a", 1));
  const fills = layoutOf(chainOf(events)).columns[4];
  expect([fills?.nodes.length, fills?.hidden]).toEqual([NODES_MAX, 3]);
});

test("a delay is the time from the newest cause, by the times of storing", () => {
  const chain = chainOf(wholeChain());
  const delays = Object.fromEntries(chain.nodes.map((node) => [node.stage, delayMs(node, chain)]));
  expect(delays).toMatchObject({ signal: undefined, decision: 1, verdict: 1, fill: 2, posting: 1 });
});
