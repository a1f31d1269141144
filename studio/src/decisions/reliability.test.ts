import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  CalibrationMapKind,
  CalibrationMapSchema,
  CalibrationReportSchema,
} from "../gen/venuemesh/events/v1/calibrations_pb";
import {
  binPoints,
  binText,
  calibrationErrorText,
  errorsText,
  mapText,
  regimeText,
} from "./reliability";

const report = create(CalibrationReportSchema, {
  bins: [
    { outcomes: 100, meanProbability: 0.5, winRate: 0.41 },
    { outcomes: 100, meanProbability: 0.5, winRate: 0.39 },
    { outcomes: 4, meanProbability: 0.9, winRate: 1 },
  ],
  calibrationError: 0.0312,
  calibrationErrorFloor: 0.0281,
  calibrationErrorDeviation: 0.009,
});

test("a win rate within 1.96 standard deviations is noise", () => {
  const [inside, outside, few] = binPoints(report);
  expect(inside?.low).toBeCloseTo(0.402);
  expect(inside?.high).toBeCloseTo(0.598);
  expect(inside?.isNoise).toBe(true);
  expect(outside?.isNoise).toBe(false);
  expect(few?.high).toBe(1);
});

test("a bin says what was promised and won", () => {
  const [point] = binPoints(report);
  expect(point && binText(point)).toBe(
    "100 outcomes: 0.50 promised, 0.41 won; 0.40 to 0.60 is noise",
  );
});

test("the error of calibration stands beside its noise", () => {
  expect(calibrationErrorText(report)).toBe("ECE 0.031; 0.028 ± 0.009 is noise");
  expect(errorsText(report)).toBe("0.031 / 0.028");
  expect(errorsText(undefined)).toBe("");
});

test("a map says whose it is and whether it is used", () => {
  const fields = { kind: CalibrationMapKind.PLATT, isApplied: true };
  expect(mapText(create(CalibrationMapSchema, fields))).toBe("platt");
  expect(mapText(create(CalibrationMapSchema, { ...fields, isPooled: true }))).toBe(
    "platt, pooled",
  );
  expect(mapText(create(CalibrationMapSchema, { hasDrifted: true }))).toBe("drifted");
  expect(mapText(create(CalibrationMapSchema, {}))).toBe("not applied");
  expect(regimeText(create(CalibrationMapSchema, { isPool: true }))).toBe("all regimes");
  expect(regimeText(create(CalibrationMapSchema, { regime: "calm" }))).toBe("calm");
  expect(regimeText(create(CalibrationMapSchema, {}))).toBe("no regime");
});
