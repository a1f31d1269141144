// In a browser, what ../setup.ts is in Node: the address of the page names the mesh and the
// example, and what the example prints is on the page.
import { connect } from "../../src/web.js";
import type { Example } from "../setup.js";

const EXAMPLES: Readonly<Record<string, () => Promise<unknown>>> = {
  book: () => import("../book.js"),
  trades: () => import("../trades.js"),
  history: () => import("../history.js"),
  order: () => import("../order.js"),
};
const chosen = new URLSearchParams(location.search);
/** Behind the "#", so that it is in no log of the server of the page. */
const token = location.hash.slice(1);

export function print(line: string): void {
  const shown = document.createElement("div");
  shown.textContent = line;
  document.body.append(shown);
}

export async function run(example: Example): Promise<void> {
  const left = new AbortController();
  addEventListener("pagehide", () => left.abort());
  try {
    const client = connect(chosen.get("gateway") ?? "", token);
    await example(client, chosen.get("venue") ?? "", chosen.get("symbol") ?? "", left.signal);
  } catch (error) {
    print(`failed: ${error instanceof Error ? error.message : String(error)}`);
  }
}

// Not awaited: the examples import this module.
void EXAMPLES[chosen.get("example") ?? ""]?.();
