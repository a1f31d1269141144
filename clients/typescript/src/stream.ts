import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

import type { Client } from "./client.js";
import { type ErrorInfo, ErrorInfoSchema } from "./gen/google/rpc/error_details_pb.js";
import {
  type Channel,
  ChannelSchema,
  type Cursor,
  GapReason,
} from "./gen/venuemesh/common/v1/types_pb.js";
import {
  type MarketDataBatch,
  MarketDataBatchSchema,
} from "./gen/venuemesh/marketdata/v1/batch_pb.js";
import {
  StartAt,
  type SubscribeRequestSchema,
} from "./gen/venuemesh/marketdata/v1/market_data_pb.js";
import { word } from "./table.js";

const DELAY_FIRST_MS = 500;
const DELAY_MAX_MS = 10_000;
const REJECTIONS: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.FailedPrecondition,
  Code.Unimplemented,
  Code.PermissionDenied,
  Code.Unauthenticated,
]);
// A venue that is not registered may be starting; an unlisted instrument stays unlisted.
const FINAL_REASONS: ReadonlySet<string> = new Set([
  "UNKNOWN_INSTRUMENT",
  "UNKNOWN_VENUE",
  "UNKNOWN_ACCOUNT",
]);

export interface Subscription {
  readonly venue: string;
  readonly channels: readonly Channel[];
  readonly symbols?: readonly string[];
  readonly startAt?: StartAt;
  /** Resume after these batches. */
  readonly after?: ReadonlyMap<Channel, Cursor>;
  /**
   * Where batches after a cursor are no longer held. "continue", the default: a batch without rows
   * has a gap with the reason CURSOR_EXPIRED, and the earliest batches that are held follow.
   * "throw": the error is thrown, so that the caller can begin again, for example with a snapshot.
   */
  readonly whenExpired?: "continue" | "throw";
}

/** The reason of an error of the mesh, such as "CURSOR_EXPIRED"; "" for other errors. */
export function reasonOf(error: unknown): string {
  return infoOf(error)?.reason ?? "";
}

export function isExpired(error: unknown): boolean {
  return reasonOf(error) === "CURSOR_EXPIRED";
}

function infoOf(error: unknown): ErrorInfo | undefined {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0];
}

/**
 * The batches of a venue. A stream that is lost is opened again, with growing delays, after the
 * last batch of each channel, so that nothing is missing and nothing is repeated. Throws if the
 * request is rejected; ends when the signal is aborted.
 */
export async function* subscribe(
  client: Client,
  subscription: Subscription,
  signal: AbortSignal,
): AsyncGenerator<MarketDataBatch> {
  const { venue, channels, symbols = [] } = subscription;
  const cursors = new Map(subscription.after);
  let startAt = subscription.startAt ?? StartAt.LATEST;
  const open = () => {
    const resumeAfter = [...cursors].map(([channel, cursor]) => ({ channel, cursor }));
    const request: MessageInitShape<typeof SubscribeRequestSchema> = {
      ...{ venue, channels: [...channels], symbols: [...symbols], resumeAfter, startAt },
    };
    return client.marketData.subscribe(request, { signal });
  };
  for await (const next of follow(open, signal)) {
    if (!next.failed) {
      for (const batch of next.message.batches) {
        if (batch.cursor) cursors.set(batch.channel, batch.cursor);
        yield batch;
      }
    } else if (isExpired(next.error)) {
      if (subscription.whenExpired === "throw") throw next.error;
      const detail = ConnectError.from(next.error).rawMessage;
      const gap = {
        reason: GapReason.CURSOR_EXPIRED,
        detectedTimeNs: BigInt(Date.now()) * 1_000_000n,
        detail,
      };
      const expired = infoOf(next.error)?.metadata.channel ?? "";
      startAt = StartAt.EARLIEST;
      for (const channel of [...cursors.keys()]) {
        if (expired !== "" && expired !== word(ChannelSchema, channel)) continue;
        cursors.delete(channel);
        yield create(MarketDataBatchSchema, { venue, channel, gaps: [gap] });
      }
    }
  }
}

export type Followed<Message> =
  | { readonly failed: false; readonly message: Message }
  | { readonly failed: true; readonly error: unknown };

/** Opens a stream again whenever it ends. Throws what would fail again. */
export async function* follow<Message>(
  open: () => AsyncIterable<Message>,
  signal: AbortSignal,
): AsyncGenerator<Followed<Message>> {
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      for await (const message of open()) {
        // Only a message resets the delay: a server may close each stream at once.
        failures = 0;
        yield { failed: false, message };
      }
    } catch (error) {
      if (signal.aborted) return;
      if (isRejected(error)) throw error;
      yield { failed: true, error };
    }
    await pause(failures, signal);
  }
}

export function isRejected(error: unknown): boolean {
  return REJECTIONS.has(ConnectError.from(error).code) || FINAL_REASONS.has(reasonOf(error));
}

/** Doubles from half a second to ten. `jitter` (0 to 1) takes off up to a half. */
export function delayMs(failures: number, jitter: number): number {
  const full = Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** Math.min(failures, 10));
  return full * (1 - jitter / 2);
}

/** Waits half a second, doubled with each failure up to ten, less a random part of up to a half. */
export function pause(failures: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs(failures, Math.random()));
    signal.addEventListener("abort", done);
  });
}
