import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import type { HoleList, HoleSpan } from "../record/holes";
import { STREAM_ENDED } from "../api/failure";
import { BarSchema } from "../gen/venuemesh/bars/v1/bars_pb";
import { Channel, GapSchema } from "../gen/venuemesh/common/v1/types_pb";
import { chartHoles, countLooks, timePosition } from "./chartHoles";
import { barTimes } from "./barTimes";
import { gapNotice } from "./gaps";

const SECOND = 1_000_000_000n;
const NOW = 1_000n * SECOND;

function list(...spans: HoleSpan[]) {
  const value: HoleList = { spans, askedNs: NOW, isCut: false };
  return { value, failure: undefined };
}

function gap(atSecond: bigint, channel = Channel.TRADES) {
  return gapNotice(channel, create(GapSchema, { detectedTimeNs: atSecond * SECOND }));
}

const filled: HoleSpan = { ...gap(990n).span, key: "hole", look: "filled" };

test("known holes replace their gaps", () => {
  expect(chartHoles(list(filled), [gap(990n)])).toEqual([filled]);
});

test("a new gap is shown, an old gap without a hole is not", () => {
  const fresh = gap(995n);
  expect(chartHoles(list(filled), [fresh, gap(900n)])).toEqual([filled, fresh.span]);
  expect(chartHoles(list(), [gap(995n, Channel.BOOK)])).toEqual([]);
});

test("while Repair is away every gap is shown, and known holes stay", () => {
  const old = gap(900n);
  expect(chartHoles({ value: undefined, failure: undefined }, [old])).toEqual([old.span]);
  const away = { value: list(filled).value, failure: STREAM_ENDED };
  expect(countLooks(chartHoles(away, [old]))).toMatchObject({ open: 1, filled: 1 });
});

function bar(interval: string, openSecond: number, closeSecond = openSecond) {
  return create(BarSchema, {
    interval,
    openTimeNs: BigInt(openSecond) * SECOND,
    closeTimeNs: BigInt(closeSecond) * SECOND,
  });
}

test("a time is placed within its bar, between missing bars, and outside", () => {
  const bars = [bar("1m", 60), bar("1m", 120), bar("1m", 300)];
  const at = (second: number) => timePosition(bars, BigInt(second) * SECOND);
  expect([60, 90, 120, 165].map(at)).toEqual([-0.5, 0, 0.5, 1.25]);
  // From 180 to 300 nothing was traded: the edge between the second and the third.
  expect([180, 240, 300].map(at)).toEqual([1.5, 1.5, 1.5]);
  expect([0, 1_000].map(at)).toEqual([-0.5, 2.5]);
  expect(timePosition([], 5n)).toBe(-0.5);
});

test("event bars span their trades and never share a time", () => {
  const bars = [bar("tick:2", 60, 70), bar("tick:2", 70, 70), bar("tick:2", 70, 80)];
  expect(timePosition(bars, 65n * SECOND)).toBe(0);
  expect(timePosition(bars, 75n * SECOND)).toBe(2);
  const times = barTimes(bars);
  expect(new Set(times).size).toBe(3);
  expect([...times].sort((left, right) => left - right)).toEqual(times);
});
