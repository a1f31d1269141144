/** An exact number as the feed carries it: value / 10^scale. */
export interface Scaled {
  readonly value: bigint;
  readonly scale: number;
}

/** 6412345n with scale 2 is "64123.45". All digits of the scale are kept. */
export function formatScaled({ value, scale }: Scaled): string {
  const sign = value < 0n ? "-" : "";
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** "64123.45" is 6412345n with scale 2. Only plain decimal text, as the mesh sends it. */
export function parseDecimal(text: string): Scaled {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
  if (!match) throw new RangeError(`"${text}" is not a decimal number`);
  const [, sign = "", whole = "", fraction = ""] = match;
  return { value: BigInt(sign + whole + fraction), scale: fraction.length };
}

/** Pads with zeros or drops trailing zeros towards `places` decimals; digits that count stay. */
export function alignDecimals(text: string, places: number): string {
  const [whole = "", fraction = ""] = text.split(".");
  const aligned = fraction.replace(/0+$/, "").padEnd(places, "0");
  return aligned === "" ? whole : `${whole}.${aligned}`;
}

/** How many decimals a step such as "0.0100" asks for: 2. */
export function decimalPlaces(step: string): number {
  return (step.split(".")[1] ?? "").replace(/0+$/, "").length;
}

export function rescale({ value, scale }: Scaled, wanted: number): bigint {
  if (wanted < scale) throw new RangeError(`scale ${scale} cannot become ${wanted} exactly`);
  return value * 10n ** BigInt(wanted - scale);
}

export function add(left: Scaled, right: Scaled): Scaled {
  const scale = Math.max(left.scale, right.scale);
  return { value: rescale(left, scale) + rescale(right, scale), scale };
}

/** The sum of decimal texts, without zeros at its end. */
export function sumText(texts: readonly string[]): string {
  const sum = texts.map(parseDecimal).reduce(add, { value: 0n, scale: 0 });
  return alignDecimals(formatScaled(sum), 0);
}

/** Below 0, 0 or above 0. */
export function signOf(text: string): number {
  const { value } = parseDecimal(text);
  return value === 0n ? 0 : value < 0n ? -1 : 1;
}

export function subtract(left: Scaled, right: Scaled): Scaled {
  const scale = Math.max(left.scale, right.scale);
  return { value: rescale(left, scale) - rescale(right, scale), scale };
}

export function multiply(left: Scaled, right: Scaled): Scaled {
  return { value: left.value * right.value, scale: left.scale + right.scale };
}

export function compare(left: Scaled, right: Scaled): number {
  const { value } = subtract(left, right);
  return value === 0n ? 0 : value < 0n ? -1 : 1;
}

/** `part` of `whole` with two decimals, cut: in percent with 100n, in basis points with 10_000n. */
export function ratioText(part: Scaled, whole: Scaled, unit: bigint): string {
  const scale = Math.max(part.scale, whole.scale);
  const divisor = rescale(whole, scale);
  if (divisor === 0n) return "0.00";
  return formatScaled({ value: (rescale(part, scale) * unit * 100n) / divisor, scale: 2 });
}

/** For drawing and proportions only; text is made from the exact number. */
export function toNumber({ value, scale }: Scaled): number {
  return Number(value) / 10 ** scale;
}
