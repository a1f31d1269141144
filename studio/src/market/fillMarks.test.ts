import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { BarSchema } from "../gen/venuemesh/bars/v1/bars_pb";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { FillSchema } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { fillMarks, markText } from "./fillMarks";

const bars = [100n, 200n, 300n].map((openTimeNs) => create(BarSchema, { openTimeNs }));

function fill(time: number, side: Side) {
  return create(FillSchema, { venueTimeNs: BigInt(time), side });
}

test("fills are marked at their bar, one mark for each side", () => {
  const fills = [
    ...[fill(250, Side.SELL), fill(200, Side.BUY), fill(299, Side.BUY)],
    ...[fill(900, Side.BUY), fill(99, Side.BUY), fill(150, Side.UNSPECIFIED)],
  ];
  const marks = fillMarks(bars, fills);
  expect(marks).toEqual([
    { index: 1, isBuy: false, count: 1 },
    { index: 1, isBuy: true, count: 2 },
    { index: 2, isBuy: true, count: 1 },
  ]);
  expect(marks.map(markText)).toEqual(["", "2", ""]);
  expect(fillMarks([], fills)).toEqual([]);
});
