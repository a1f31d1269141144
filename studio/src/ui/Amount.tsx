import { signOf } from "./decimal";

/** Decimals that are shown as large as the rest. */
const PLACES_SHOWN = 8;

export interface AmountProps {
  /** Exact decimal text. Undefined: not known. */
  readonly text: string | undefined;
  readonly unit?: string;
  /** Coloured by its sign, with "+" above 0. */
  readonly isChange?: boolean;
  /** Why it is not known. */
  readonly unknown?: string;
  /** For tests. */
  readonly valueId?: string;
}

/** An exact amount: all of its digits, those after the eighth decimal smaller. */
export function Amount({ text, unit = "", isChange = false, unknown, valueId }: AmountProps) {
  if (text === undefined) {
    return (
      <span className="amount unknown" title={unknown} data-testid={valueId}>
        {unknown ?? "not known"}
      </span>
    );
  }
  const sign = signOf(text);
  const tone = !isChange || sign === 0 ? "" : sign > 0 ? "up" : "down";
  const [whole = "", fraction = ""] = text.split(".");
  const shown = fraction === "" ? whole : `${whole}.${fraction.slice(0, PLACES_SHOWN)}`;
  return (
    <span className={`amount ${tone}`} title={`${text} ${unit}`.trim()} data-testid={valueId}>
      {isChange && sign > 0 ? "+" : ""}
      {shown}
      <i>{fraction.slice(PLACES_SHOWN)}</i>
      {unit !== "" && <small> {unit}</small>}
    </span>
  );
}
