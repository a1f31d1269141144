/** The theme's colours where a canvas needs them; see ui/theme.css. */
export const chartColors = {
  background: "#0f131a",
  text: "#8290a3",
  grid: "#171d27",
  border: "#222a36",
  crosshair: "#52627a",
  label: "#2a3546",
  accent: "#6aa6ff",
  up: "#2ebd93",
  down: "#e8566d",
  upIncomplete: "#2ebd9366",
  downIncomplete: "#e8566d66",
  upVolume: "#2ebd934d",
  downVolume: "#e8566d4d",
} as const;
