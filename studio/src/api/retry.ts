import { describeFailure, type Failure } from "./failure";

const DELAY_FIRST_MS = 500;
const DELAY_MAX_MS = 10_000;

export type Wait = (delayMs: number, signal: AbortSignal) => Promise<void>;

/** Doubles from half a second to ten. `jitter` (0 to 1) takes off up to a half. */
export function delayMs(failures: number, jitter: number): number {
  const full = Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** Math.min(failures, 10));
  return full * (1 - jitter / 2);
}

/** Waits, or returns at once when the signal is aborted. */
export function waitMs(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done);
  });
}

/** Retries a call with growing delays until it succeeds. Undefined when the signal is aborted. */
export async function retryUntilAnswered<Answer>(
  ask: (signal: AbortSignal) => Promise<Answer>,
  signal: AbortSignal,
  onFailure: (failure: Failure) => void,
  wait: Wait = waitMs,
): Promise<Answer | undefined> {
  for (let failures = 0; ; failures++) {
    try {
      return await ask(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      onFailure(describeFailure(error));
    }
    await wait(delayMs(failures, Math.random()), signal);
  }
}
