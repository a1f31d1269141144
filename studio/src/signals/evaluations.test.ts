import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Detector, GetEvaluationsResponseSchema } from "../gen/venuemesh/detector/v1/detector_pb";
import {
  barAt,
  chartLines,
  extended,
  firedCount,
  NO_EVALUATIONS,
  shownBars,
  STRIP_BARS,
  stripPaths,
  stripsOf,
} from "./evaluations";
import { pollEvaluations } from "./strategyPolls";

const KEY = { strategy: "trend", venue: "binance", symbol: "BTCUSDT" };

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

type Bars = MessageInitShape<typeof GetEvaluationsResponseSchema>["evaluations"];

function answered(version: string, evaluations: Bars = []) {
  return create(GetEvaluationsResponseSchema, {
    status: { ...KEY, version },
    rules: [
      { rule: "cross", weight: 2 },
      { rule: "wide", isVeto: true },
    ],
    exits: ["back"],
    priceLines: ["(sma(close, 5) + 2)"],
    evaluations,
  });
}

function evaluated(number: number, score: number | undefined, line?: number) {
  const known = (value?: number) => (value === undefined ? {} : { value });
  return {
    openTimeNs: BigInt(number),
    closeTimeNs: BigInt(number + 1),
    ...(score === undefined ? {} : { score }),
    rules: [known(score), known(1)],
    exits: [known(0)],
    priceLines: [known(line)],
  };
}

test("answers follow each other, and each bar is there once", () => {
  const first = extended(NO_EVALUATIONS, answered("a", [evaluated(1, 0.5), evaluated(2, 1)]));
  const known = extended(first, answered("a", [evaluated(2, 1), evaluated(3, -1)]));
  expect(known.evaluations.map(({ openTimeNs }) => openTimeNs)).toEqual([1n, 2n, 3n]);
  expect(extended(known, answered("a"))).toBe(known);
  // Its code is not loaded now.
  expect(extended(known, create(GetEvaluationsResponseSchema, {}))).toBe(known);
  const another = extended(known, answered("b", [evaluated(1, 1)]));
  expect([another.version, another.evaluations.length]).toEqual(["b", 1]);
});

test("a strip has a value of each bar, and nothing where it is not known", () => {
  const bars = [evaluated(1, undefined), evaluated(2, 0), evaluated(3, -0.5)];
  const known = extended(NO_EVALUATIONS, answered("a", bars));
  const strips = stripsOf(known);
  expect(strips.map(({ name, kind, weight, values }) => [name, kind, weight, values])).toEqual([
    ["score", "score", undefined, [undefined, 0, -0.5]],
    ["cross", "rule", 2, [undefined, 0, -0.5]],
    ["wide", "veto", undefined, [1, 1, 1]],
    ["back", "exit", undefined, [0, 0, 0]],
  ]);
  expect(strips.map(({ values }) => firedCount(values))).toEqual([1, 1, 3, 0]);
});

test("columns are at the right, as high as the score, and up for a buy", () => {
  expect(stripPaths([undefined, 0, 1, -0.5])).toEqual({
    up: `M${STRIP_BARS - 2} 50h1v-50h-1z`,
    down: `M${STRIP_BARS - 1} 50h1v25h-1z`,
    unknown: `M${STRIP_BARS - 4} 47h1v6h-1z`,
  });
  expect(barAt(0.999, 4)).toBe(3);
  expect(barAt(1 - 3.5 / STRIP_BARS, 4)).toBe(0);
  expect(barAt(0.5, 4)).toBeUndefined();
});

test("strips have as many bars as fit", () => {
  const bars = Array.from({ length: STRIP_BARS + 7 }, (_, number) => evaluated(number + 1, 0));
  const known = extended(NO_EVALUATIONS, answered("a", bars));
  expect(shownBars(known)).toHaveLength(STRIP_BARS);
  expect(shownBars(known)[0]?.openTimeNs).toBe(8n);
});

test("a line has the values that are known, by the open times of the bars", () => {
  const bars = [evaluated(1, 0), evaluated(2, 0, 61_000.5)];
  const [line] = chartLines(extended(NO_EVALUATIONS, answered("a", bars)));
  expect(line?.name).toBe("sma(close, 5) + 2");
  expect([...(line?.values ?? [])]).toEqual([[2n, 61_000.5]]);
});

test("only newer bars are asked for, and all of another version", async () => {
  const asked: bigint[] = [];
  const answers = [
    answered("a", [evaluated(1, 0), evaluated(2, 0)]),
    answered("b", []),
    answered("b", [evaluated(1, 1), evaluated(2, 1), evaluated(3, 1)]),
  ];
  const transport = createRouterTransport(({ service }) => {
    service(Detector, {
      getEvaluations({ afterTimeNs }) {
        asked.push(afterTimeNs);
        return answers[asked.length - 1] ?? answered("b");
      },
    });
  });
  const poll = pollEvaluations(KEY, createClient(Detector, transport));
  const stop = poll.start();
  await vi.waitFor(() => {
    expect(poll.state.latest.value?.version).toBe("a");
  });
  poll.refresh();
  await vi.waitFor(() => {
    expect(poll.state.latest.value?.version).toBe("b");
  });
  expect(asked).toEqual([0n, 2n, 0n]);
  expect(poll.state.latest.value?.evaluations).toHaveLength(3);
  stop();
});
