const COLORS = [
  "#5b8def",
  "#d7a13b",
  "#a47be0",
  "#3bb3c2",
  "#df7aa4",
  "#86bb58",
  "#c98a5c",
  "#7d8fb3",
] as const;

/** The colour of a rule in bars of attribution, by its place among the rules of its strategy. */
export function ruleColor(place: number): string {
  return COLORS[place % COLORS.length] ?? COLORS[0];
}
