/** A browser allows six connections per host, so a page that nobody sees gives its streams back. */
const HIDDEN_MAX_MS = 60_000;

/**
 * Runs `start` while the page is looked at: stops it when the page has been hidden for a minute,
 * starts it again when it is shown. Returns what ends both.
 */
export function whileVisible(start: () => () => void): () => void {
  let stop: (() => void) | undefined = start();
  let timer: number | undefined;
  const onChange = () => {
    window.clearTimeout(timer);
    if (document.visibilityState === "visible") {
      stop ??= start();
      return;
    }
    timer = window.setTimeout(() => {
      stop?.();
      stop = undefined;
    }, HIDDEN_MAX_MS);
  };
  document.addEventListener("visibilitychange", onChange);
  return () => {
    document.removeEventListener("visibilitychange", onChange);
    window.clearTimeout(timer);
    stop?.();
  };
}
