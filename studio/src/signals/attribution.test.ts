import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { RuleScoreSchema } from "../gen/venuemesh/events/v1/signals_pb";
import { barPieces, exitsOf, partsText, ruleParts } from "./attribution";

function rules(...fields: MessageInitShape<typeof RuleScoreSchema>[]) {
  return fields.map((one) => create(RuleScoreSchema, one));
}

const SAID = rules(
  { rule: "cross", weight: 2, score: 1 },
  { rule: "flow", weight: 1, score: -0.5 },
  { rule: "quiet", weight: 1 },
  { rule: "none", weight: 1, score: 0 },
  { rule: "wide", weight: 0, score: 0 },
);

test("the parts of the rules add up to the score; who abstains has none", () => {
  const parts = ruleParts(SAID);
  expect(parts.map(({ rule, part }) => [rule, part])).toEqual([
    ["cross", 0.5],
    ["flow", -0.125],
    ["none", 0],
  ]);
  expect(parts.reduce((sum, { part }) => sum + part, 0)).toBe(0.375);
  expect(partsText(parts)).toBe("cross 1 × 2, flow -0.5 × 1, none 0 × 1");
  expect(ruleParts([])).toEqual([]);
});

test("pieces go from the middle to the side that they speak for", () => {
  const parts = ruleParts(rules(...SAID, { rule: "high", weight: 4, score: 1 }));
  expect(barPieces(parts).map(({ rule, left, width }) => [rule, left, width])).toEqual([
    ["cross", 50, 12.5],
    ["flow", 46.875, 3.125],
    ["high", 62.5, 25],
  ]);
});

test("a signal that closes names its exits", () => {
  const said = rules(
    ...SAID,
    { rule: "back", weight: 0, score: -1 },
    { rule: "late", weight: 0, score: 0 },
    { rule: "forbidden", weight: 0, score: 0, isVeto: true },
  );
  expect(exitsOf({ rules: said })).toEqual(["back"]);
});
