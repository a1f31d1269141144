import { useSyncExternalStore } from "react";

/**
 * A value that may change many times per frame. Listeners are called once, in the next animation
 * frame, and only if it is another value by then. While the page is hidden no frame comes and
 * only the newest value is kept.
 */
export class FrameStore<Value> {
  #latest: Value;
  #shown: Value;
  #awaitsFrame = false;
  readonly #listeners = new Set<() => void>();

  constructor(initial: Value) {
    this.#latest = initial;
    this.#shown = initial;
  }

  get latest(): Value {
    return this.#latest;
  }

  set(value: Value): void {
    if (Object.is(value, this.#latest)) return;
    this.#latest = value;
    if (this.#awaitsFrame) return;
    this.#awaitsFrame = true;
    requestAnimationFrame(this.#publish);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly shown = (): Value => this.#shown;

  readonly #publish = (): void => {
    this.#awaitsFrame = false;
    if (Object.is(this.#shown, this.#latest)) return;
    this.#shown = this.#latest;
    for (const listener of this.#listeners) listener();
  };
}

/** The store's value. The component renders in the frame after a change. */
export function useFrameStore<Value>(store: FrameStore<Value>): Value {
  return useSyncExternalStore(store.subscribe, store.shown);
}
