import { useEffect } from "react";

import { whileVisible } from "./visibility";

/** Something that works from `start` until the function that it returns is called. */
export interface Startable {
  start(): () => void;
}

/** Runs it while the component is on the page and the page is looked at. */
export function useRunning(thing: Startable): void {
  useEffect(() => whileVisible(() => thing.start()), [thing]);
}
