/** A browser allows six connections per host, so a hidden page closes its streams. */
const HIDDEN_MAX_MS = 60_000;

/**
 * Runs `start` while the page is visible: stops it when the page has been hidden for a minute,
 * starts it again when it is shown. Returns a function that ends this.
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
