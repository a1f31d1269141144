/**
 * A value of an enum in words: "STANDING_DOWN" is "standing down". A number that this page does not
 * know stays a number, and one that is not set is empty.
 */
export function enumText(names: Readonly<Record<number, string>>, value: number): string {
  if (value === 0) return "";
  return (
    (names as Partial<Record<number, string>>)[value]?.toLowerCase().replaceAll("_", " ") ??
    String(value)
  );
}

/** A score, a weight or a conviction: up to four decimals. They are floats by contract. */
export function scoreText(score: number | undefined): string {
  if (score === undefined) return "abstains";
  return String(Math.round(score * 10_000) / 10_000);
}
