import {
  ContractKind,
  type Instrument,
  InstrumentKind,
  SizeUnit,
} from "../gen/venuemesh/common/v1/types_pb";
import { alignDecimals, formatScaled, multiply, parseDecimal } from "../ui/decimal";

const CONTRACTS = "contracts";
/** Decimals of a notional. */
const NOTIONAL_PLACES = 2;

/** The unit of sizes: "BTC", "USD", "contracts of 100 USD". Empty if it is not known. */
export function sizeUnit(instrument: Instrument | undefined): string {
  switch (instrument?.sizeUnit) {
    case SizeUnit.BASE:
      return instrument.base;
    case SizeUnit.QUOTE:
      return instrument.quote;
    case SizeUnit.CONTRACTS:
      return contractsOf(instrument);
    default:
      return "";
  }
}

/** A unit for narrow columns: contracts without what one is worth. */
export function shortUnit(unit: string): string {
  return unit.startsWith(CONTRACTS) ? CONTRACTS : unit;
}

/** The heading of a column with its unit: "Size, BTC". */
export function withUnit(name: string, unit: string): string {
  return unit === "" ? name : `${name}, ${shortUnit(unit)}`;
}

/**
 * The exact value of a size in the quote asset, for example "600.00 USDT". Empty without a price
 * that it needs, for quanto contracts, and if the unit is not known.
 */
export function notionalText(
  instrument: Instrument | undefined,
  size: string,
  price: string,
): string {
  const multiplier = instrument && multiplierOf(instrument);
  const isInverse = instrument?.contractKind === ContractKind.INVERSE;
  const factors = [size, multiplier, isInverse ? "1" : price];
  if (!instrument || !factors.every(isAmount)) return "";
  const value = factors.map(parseDecimal).reduce(multiply);
  return `${alignDecimals(formatScaled(value), NOTIONAL_PLACES)} ${instrument.quote}`;
}

/** What a size of 1 is worth at a price of 1, or in the quote asset if the contract is inverse. */
function multiplierOf(instrument: Instrument): string | undefined {
  const { kind, contractKind, contractValue } = instrument;
  if (contractKind === ContractKind.QUANTO) return undefined;
  if (instrument.sizeUnit === SizeUnit.CONTRACTS) return contractValue;
  const isInverse = contractKind === ContractKind.INVERSE;
  const isOne = instrument.sizeUnit === (isInverse ? SizeUnit.QUOTE : SizeUnit.BASE);
  return isOne || kind === InstrumentKind.SPOT ? "1" : undefined;
}

function contractsOf({ contractKind, contractValue, contractValueAsset }: Instrument): string {
  if (contractValue === "" || contractKind === ContractKind.QUANTO) return CONTRACTS;
  return `${CONTRACTS} of ${contractValue} ${contractValueAsset}`;
}

function isAmount(text: string | undefined): text is string {
  return text !== undefined && /^\d+(\.\d+)?$/.test(text);
}
