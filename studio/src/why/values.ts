import { formatDateTime } from "../ui/format";

/** Text and unit of a value, as people read them. */
export interface ShownValue {
  readonly text: string;
  readonly unit: string;
}

/** A number of ns that is as long as this is a time since the Unix epoch, after 2001. */
const TIME_NS = /^\d{19}$/;

/** A time is shown as day and time in UTC; every other value is shown as it is. */
export function shownValue(value: string, unit: string): ShownValue {
  if (unit !== "ns" || !TIME_NS.test(value)) return { text: value, unit };
  return { text: formatDateTime(BigInt(value)), unit: "UTC" };
}
