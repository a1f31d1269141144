import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import {
  ContractKind,
  InstrumentKind,
  InstrumentSchema,
  SizeUnit,
} from "../gen/venuemesh/common/v1/types_pb";
import { notionalText, shortUnit, sizeUnit, withUnit } from "./sizes";

const PERPETUAL = { kind: InstrumentKind.PERPETUAL, base: "BTC" };
const LINEAR = { ...PERPETUAL, quote: "USDT", contractKind: ContractKind.LINEAR };
const INVERSE = { ...PERPETUAL, quote: "USD", contractKind: ContractKind.INVERSE };
const CONTRACTS = { sizeUnit: SizeUnit.CONTRACTS };
const IN_USD = { contractValue: "100", contractValueAsset: "USD" };
const SPOT = { kind: InstrumentKind.SPOT, base: "BTC", quote: "USDT", sizeUnit: SizeUnit.BASE };

test.each([
  ["spot", SPOT, "BTC", "18000.00 USDT"],
  ["linear in base units", { ...LINEAR, sizeUnit: SizeUnit.BASE }, "BTC", "18000.00 USDT"],
  [
    "linear in contracts",
    { ...LINEAR, ...CONTRACTS, contractValue: "0.01", contractValueAsset: "BTC" },
    "contracts of 0.01 BTC",
    "180.00 USDT",
  ],
  ["inverse in dollars", { ...INVERSE, sizeUnit: SizeUnit.QUOTE }, "USD", "0.30 USD"],
  [
    "inverse in contracts",
    { ...INVERSE, ...CONTRACTS, ...IN_USD },
    "contracts of 100 USD",
    "30.00 USD",
  ],
  [
    "quanto",
    { ...INVERSE, ...CONTRACTS, ...IN_USD, contractKind: ContractKind.QUANTO },
    "contracts",
    "",
  ],
  ["contracts of an unknown worth", { ...LINEAR, ...CONTRACTS }, "contracts", ""],
  ["a derivative that states no unit", PERPETUAL, "", ""],
])("%s has its unit and notional", (_, terms, unit, notional) => {
  const instrument = create(InstrumentSchema, terms);
  expect(sizeUnit(instrument)).toBe(unit);
  expect(notionalText(instrument, "0.3", "60000")).toBe(notional);
});

test("the notional is exact and needs the price, unless the contract is inverse", () => {
  const spot = create(InstrumentSchema, SPOT);
  const inverse = create(InstrumentSchema, { ...INVERSE, sizeUnit: SizeUnit.QUOTE });
  expect(notionalText(spot, "0.012345678", "60000")).toBe("740.74068 USDT");
  expect(notionalText(spot, "1", "")).toBe("");
  expect(notionalText(spot, "x", "1")).toBe("");
  expect(notionalText(inverse, "20", "")).toBe("20.00 USD");
  expect(notionalText(undefined, "1", "1")).toBe("");
});

test("narrow columns say contracts without their worth", () => {
  expect(shortUnit("contracts of 100 USD")).toBe("contracts");
  expect(withUnit("Size", "contracts of 100 USD")).toBe("Size, contracts");
  expect(withUnit("Size", "BTC")).toBe("Size, BTC");
  expect(withUnit("Size", "")).toBe("Size");
});
