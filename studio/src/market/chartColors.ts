/** The theme's colours where a canvas needs them; see ui/theme.css. */
export const chartColors = {
  background: "#0f131a",
  text: "#8290a3",
  grid: "#171d27",
  border: "#222a36",
  crosshair: "#52627a",
  label: "#2a3546",
  accent: "#6aa6ff",
  warn: "#e3b04b",
  filled: "#7f9fd0",
  up: "#2ebd93",
  down: "#e8566d",
  upIncomplete: "#2ebd932e",
  downIncomplete: "#e8566d2e",
  upVolume: "#2ebd934d",
  downVolume: "#e8566d4d",
} as const;

/** Of lines over the candles, in their order. */
export const lineColors = [
  "#6aa6ff",
  "#e3b04b",
  "#b98cff",
  "#4cc9d6",
  "#f08fb2",
  "#9bd067",
] as const;

/** The colour of the line at a place; further lines repeat the colours. */
export function lineColor(place: number): string {
  return lineColors[place % lineColors.length] ?? chartColors.accent;
}
