/** An exact number, unscaled / 10^scale. No price and no size passes through a float. */
export class Decimal {
  constructor(
    readonly unscaled: bigint,
    readonly scale: number,
  ) {}

  /** Reads plain decimal text, as the mesh sends it. */
  static parse(text: string): Decimal {
    const match = /^(-?\d+)(?:\.(\d+))?$/.exec(text);
    if (!match) throw new RangeError(`"${text}" is not a decimal number`);
    const fraction = match[2] ?? "";
    return new Decimal(BigInt(`${match[1] ?? ""}${fraction}`), fraction.length);
  }

  /** Decimal text: no exponent, no zeros at the end of a fraction, no point without one. */
  toString(): string {
    const sign = this.unscaled < 0n ? "-" : "";
    const digits = String(this.unscaled < 0n ? -this.unscaled : this.unscaled);
    const padded = digits.padStart(this.scale + 1, "0");
    const point = padded.length - this.scale;
    const fraction = padded.slice(point).replace(/0+$/, "");
    return sign + padded.slice(0, point) + (fraction && `.${fraction}`);
  }

  /** Below 0, 0 or above 0, as this is below, equal to or above the other. */
  compare(other: Decimal): number {
    const scale = Math.max(this.scale, other.scale);
    const difference = this.at(scale) - other.at(scale);
    return difference === 0n ? 0 : difference < 0n ? -1 : 1;
  }

  private at(scale: number): bigint {
    return this.unscaled * 10n ** BigInt(scale - this.scale);
  }
}
