import { shownValue } from "./values";

interface UnitValueProps {
  readonly value: string;
  readonly unit: string;
  readonly withUnit?: boolean;
}

/** A value as people read it; the exact one is its title. */
export function UnitValue({ value, unit, withUnit = false }: UnitValueProps) {
  const shown = shownValue(value, unit);
  return (
    <span title={shown.text === value ? undefined : `${value} ${unit}`}>
      {shown.text}
      {withUnit && shown.unit !== "" && <small> {shown.unit}</small>}
    </span>
  );
}
