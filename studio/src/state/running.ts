import { useEffect } from "react";

import { whileVisible } from "./visibility";

/** Something that runs from `start` until the returned function is called. */
export interface Startable {
  start(): () => void;
}

/** Runs it while the component is mounted and the page is visible. */
export function useRunning(thing: Startable): void {
  useEffect(() => whileVisible(() => thing.start()), [thing]);
}
