import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { type Bar, BarSchema } from "../gen/venuemesh/bars/v1/bars_pb";
import { BARS_MAX, BarSeries } from "./barSeries";

type Rest = Partial<Pick<Bar, "final" | "revision" | "coveredNs" | "interval" | "number">>;

function bar(openTime: number, tradeCount = 1, rest: Rest = {}) {
  return create(BarSchema, {
    interval: "1m",
    openTimeNs: BigInt(openTime),
    tradeCount: BigInt(tradeCount),
    ...rest,
  });
}

const times = (series: BarSeries) => series.bars.map((each) => Number(each.openTimeNs));

test("live bars grow at the end and return what to draw", () => {
  const series = new BarSeries();
  expect(series.put(bar(10))).toEqual({ index: 0 });
  expect(series.put(bar(10, 2))).toEqual({ index: 0 });
  expect(series.put(bar(30))).toEqual({ index: 1 });
  expect(series.put(bar(10, 2, { final: true }))).toEqual({ index: 0 });
  expect(series.put(bar(20))).toBe("all");
  expect(times(series)).toEqual([10, 20, 30]);
});

test("an older state of a bar changes nothing", () => {
  const series = new BarSeries();
  series.put(bar(10, 5, { final: true, revision: 1 }));
  expect(series.put(bar(10, 4))).toBe("nothing");
  expect(series.put(bar(10, 5, { final: true, revision: 0 }))).toBe("nothing");
  expect(series.put(bar(10, 5, { final: true, revision: 1 }))).toBe("nothing");
  expect(series.merge([bar(10, 5)])).toBe(false);
  expect(series.find(10n)).toMatchObject({ tradeCount: 5n, revision: 1 });
  expect(series.find(11n)).toBeUndefined();
});

test("a page of history in descending order is prepended", () => {
  const series = new BarSeries();
  series.put(bar(30, 9));
  expect(series.merge([bar(30, 1), bar(20), bar(10)])).toBe(true);
  expect(times(series)).toEqual([10, 20, 30]);
  expect(series.find(30n)?.tradeCount).toBe(9n);
  series.dropBefore(20n);
  expect(times(series)).toEqual([20, 30]);
});

test("the oldest bars are dropped at the limit", () => {
  const series = new BarSeries();
  const page = Array.from({ length: BARS_MAX }, (_, index) => bar(index));
  series.merge(page);
  expect(series.isFull).toBe(true);
  expect(series.put(bar(BARS_MAX))).toBe("all");
  expect(series.bars.length).toBeLessThan(BARS_MAX);
  expect(series.bars.at(-1)?.openTimeNs).toBe(BigInt(BARS_MAX));
  expect(series.isFull).toBe(true);
});

test("a bar with changed coverage is redrawn", () => {
  const series = new BarSeries();
  series.put(bar(10, 5, { final: true, coveredNs: 30n }));
  expect(series.put(bar(10, 5, { final: true, coveredNs: 20n }))).toEqual({ index: 0 });
  // A page of history may be older than what was seen live.
  expect(series.merge([bar(10, 5, { final: true, coveredNs: 10n })])).toBe(false);
  expect(series.merge([bar(10, 5, { final: true, coveredNs: 60n })])).toBe(true);
  expect(series.find(10n)?.coveredNs).toBe(60n);
});

test("event bars are identified by number, not by open time", () => {
  const tick = (openTime: number, number: number, rest: Rest = {}) =>
    bar(openTime, 100, { interval: "tick:100", number, ...rest });
  const series = new BarSeries();
  series.put(tick(10, 0));
  expect(series.put(tick(10, 1))).toEqual({ index: 1 });
  expect(series.put(tick(20, 2))).toEqual({ index: 2 });
  // A trade that came late moves the begin of all bars after it.
  expect(series.put(tick(15, 2, { revision: 1 }))).toBe("all");
  expect(series.merge([tick(20, 2)])).toBe(false);
  expect(times(series)).toEqual([10, 10, 15]);
});
