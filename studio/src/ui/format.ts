const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

/** 12345.6 is "12,346". */
export function formatCount(value: number | bigint): string {
  return WHOLE.format(value);
}

/** A rate per second: small ones keep a digit after the point. */
export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 10 ? perSecond.toFixed(1) : formatCount(perSecond);
}

/** 0.4 is "0.4 ms", 1500 is "1.5 s". */
export function formatMillis(ms: number): string {
  if (ms >= 100_000) return formatDuration(ms);
  if (ms >= 1_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
}

/** The two largest units: "3d 4h", "12m 5s". */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3_600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return "0s";
  return parts
    .slice(first, first + 2)
    .map(([amount, unit]) => `${amount}${unit}`)
    .join(" ");
}

export function formatBytes(bytes: bigint): string {
  const mebibytes = Number(bytes) / 2 ** 20;
  return mebibytes >= 1_024
    ? `${(mebibytes / 1_024).toFixed(2)} GiB`
    : `${mebibytes.toFixed(0)} MiB`;
}

/** Time of day in UTC with milliseconds, of ns since the Unix epoch: "14:05:09.123". */
export function formatTime(timeNs: bigint): string {
  return isoText(timeNs).slice(11, 23);
}

/** Day and time in UTC, of ns since the Unix epoch: "2026-11-02 14:05:09". */
export function formatDateTime(timeNs: bigint): string {
  return isoText(timeNs).slice(0, 19).replace("T", " ");
}

function isoText(timeNs: bigint): string {
  const date = new Date(Number(timeNs / 1_000_000n));
  return Number.isNaN(date.getTime()) ? "" : date.toISOString();
}
