import type { Client } from "../src/client.js";
import { connect } from "../src/node.js";

export type Example = (
  client: Client,
  venue: string,
  symbol: string,
  signal: AbortSignal,
) => Promise<void>;

export function print(line: string): void {
  console.log(line);
}

/**
 * Runs an example with the venue and the symbol of the command line. The gateway is
 * VENUEMESH_GATEWAY, by default that of a mesh on this machine; the token is VENUEMESH_TOKEN.
 */
export async function run(example: Example): Promise<void> {
  const [venue, symbol] = process.argv.slice(2);
  if (!venue || !symbol) {
    console.error("usage: node EXAMPLE VENUE SYMBOL");
    process.exit(2);
  }
  const { VENUEMESH_GATEWAY = "127.0.0.1:8081", VENUEMESH_TOKEN = "" } = process.env;
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort());
  try {
    await example(connect(VENUEMESH_GATEWAY, VENUEMESH_TOKEN), venue, symbol, controller.signal);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
  // An open connection would keep the process alive.
  process.exit(0);
}
