import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { AssetEquityHistorySchema } from "../gen/venuemesh/ledger/v1/equity_pb";
import { axisTimes, equityLine, stepPath } from "./equityLine";

function history(...points: [number, string, string][]) {
  return create(AssetEquityHistorySchema, {
    asset: "USDT",
    points: points.map(([time, equityAtCost, netProfit]) => ({
      timeNs: BigInt(time),
      equityAtCost,
      netProfit,
    })),
  });
}

const THREE = history([100, "1000", "0"], [200, "1010", "10"], [300, "990", "-10"]);

test("net profit is drawn around zero, in its exact bounds", () => {
  const line = equityLine(THREE, "profit", undefined);
  expect(line).toMatchObject({ top: "10", bottom: "-10", zero: 0.5, market: undefined });
  expect(line?.points.map(({ x, y, text }) => [x, y, text])).toEqual([
    [0, 0.5, "0"],
    [0.5, 0, "10"],
    [1, 1, "-10"],
  ]);
  expect(line && stepPath(line.points)).toBe("M0.00 50.00H50.00V0.00H100.00V100.00");
});

test("a loss alone has zero at the top", () => {
  const line = equityLine(history([1, "5", "-1"], [2, "5", "-2"]), "profit", undefined);
  expect(line).toMatchObject({ top: "0", bottom: "-2", zero: 0 });
});

test("the value at market prices is within the axis", () => {
  const line = equityLine(THREE, "equity", "1020.000000000000000001");
  expect(line).toMatchObject({ top: "1020.000000000000000001", bottom: "990", zero: undefined });
  expect(line?.market).toMatchObject({ x: 1, y: 0, text: "1020.000000000000000001" });
});

test("a value that never changes is in the middle, and nothing has no line", () => {
  const line = equityLine(history([1, "5", "0"], [2, "5", "0"]), "equity", undefined);
  expect(line?.points.map(({ y }) => y)).toEqual([0.5, 0.5]);
  expect(equityLine(history(), "equity", "1")).toBeUndefined();
});

test("the axis has the first and the last time", () => {
  const line = equityLine(THREE, "profit", undefined);
  expect(axisTimes(line?.points ?? [], 3)).toEqual([100n, 200n, 300n]);
});
