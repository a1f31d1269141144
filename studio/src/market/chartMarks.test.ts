import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { BarSchema } from "../gen/venuemesh/bars/v1/bars_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { PositionAction } from "../gen/venuemesh/events/v1/signals_pb";
import { FillSchema } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { chartMarks, markText } from "./chartMarks";

const bars = [100n, 200n, 300n].map((openTimeNs) => create(BarSchema, { openTimeNs }));

function fill(time: number, side: Side) {
  return create(FillSchema, { venueTimeNs: BigInt(time), side });
}

function signal(sequence: bigint, side: Side, action: PositionAction) {
  return { sequence, timeNs: 300n, side, action };
}

test("fills are marked at their bar, one mark for each side", () => {
  const fills = [
    ...[fill(250, Side.SELL), fill(200, Side.BUY), fill(299, Side.BUY)],
    ...[fill(900, Side.BUY), fill(99, Side.BUY), fill(150, Side.UNSPECIFIED)],
  ];
  const marks = chartMarks(bars, fills, []);
  expect(marks).toEqual([
    { kind: "fill", index: 1, isBuy: false, action: "", count: 1 },
    { kind: "fill", index: 1, isBuy: true, action: "", count: 2 },
    { kind: "fill", index: 2, isBuy: true, action: "", count: 1 },
  ]);
  expect(marks.map(markText)).toEqual(["", "2", ""]);
  expect(chartMarks([], fills, [])).toEqual([]);
});

test("a signal is marked at the bar that it was raised on, beside its fills", () => {
  const signals = [
    { ...signal(1n, Side.BUY, PositionAction.OPEN), timeNs: 200n },
    ...[2n, 3n].map((sequence) => signal(sequence, Side.SELL, PositionAction.FLIP)),
    signal(4n, Side.SELL, PositionAction.REDUCE),
  ];
  const marks = chartMarks(bars, [fill(200, Side.SELL)], signals);
  expect(marks).toEqual([
    { kind: "signal", index: 0, isBuy: true, action: "", count: 1 },
    { kind: "fill", index: 1, isBuy: false, action: "", count: 1 },
    { kind: "signal", index: 1, isBuy: false, action: "flip", count: 2 },
    { kind: "signal", index: 1, isBuy: false, action: "reduce", count: 1 },
  ]);
  expect(marks.map(markText)).toEqual(["", "", "flip 2", "reduce"]);
});
