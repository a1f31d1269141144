import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import {
  Repair,
  type RepairJob,
  RepairJobSchema,
  RepairState,
} from "../gen/venuemesh/repair/v1/repair_pb";
import { ALL_HOLES, progressOf, RepairFeed } from "./repairs";

const { CANCELLED, DONE, QUEUED, RUNNING } = RepairState;

/** Repair in memory. The test advances the jobs. */
class Backend {
  readonly jobs = new Map<string, RepairJob>();
  readonly started: string[] = [];
  readonly #watching = new Set<AbortSignal>();
  failure: ConnectError | undefined;
  #changed: (() => void)[] = [];

  readonly client = createClient(
    Repair,
    createRouterTransport(({ service }) => {
      service(Repair, {
        listRepairs: () => ({ jobs: [...this.jobs.values()].reverse() }),
        startRepair: ({ venue, symbol, repairId }) => {
          if (this.failure) throw this.failure;
          this.started.push(repairId);
          return { job: this.put({ repairId, venue, symbol, state: QUEUED, holeCount: 2 }) };
        },
        cancelRepair: ({ repairId }) => ({ job: this.put({ repairId, state: CANCELLED }) }),
        watchRepair: ({ repairId }, { signal }) => this.#watch(repairId, signal),
      });
    }),
  );

  get watchers(): number {
    return [...this.#watching].filter((signal) => !signal.aborted).length;
  }

  put(change: Partial<RepairJob> & { repairId: string }): RepairJob {
    const before = this.jobs.get(change.repairId) ?? create(RepairJobSchema);
    const job = create(RepairJobSchema, { ...before, ...change });
    this.jobs.set(job.repairId, job);
    for (const wake of this.#changed.splice(0)) wake();
    return job;
  }

  async *#watch(repairId: string, signal: AbortSignal) {
    this.#watching.add(signal);
    while (!signal.aborted) {
      const job = this.jobs.get(repairId);
      if (!job) throw new ConnectError("no such repair", Code.NotFound);
      yield { job };
      if (job.state !== QUEUED && job.state !== RUNNING) break;
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        signal.addEventListener("abort", () => {
          resolve();
        });
      });
    }
    this.#watching.delete(signal);
  }
}

let backend: Backend;
let onProgress: ReturnType<typeof vi.fn<() => void>>;
let feed: RepairFeed;
let stop: () => void;

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
  backend = new Backend();
  onProgress = vi.fn<() => void>();
  feed = new RepairFeed("binance", "BTCUSDT", onProgress, backend.client);
  stop = () => undefined;
});

afterEach(() => {
  stop();
  vi.unstubAllGlobals();
});

async function untilState(state: RepairState): Promise<void> {
  await vi.waitFor(() => {
    expect(feed.current.latest?.state).toBe(state);
  });
}

test("a started repair is watched until it is done", async () => {
  stop = feed.start();
  await feed.begin(ALL_HOLES);
  await untilState(QUEUED);
  const [repairId = ""] = backend.started;
  expect(repairId).toMatch(/^studio-[0-9a-f]{16}$/);
  backend.put({ repairId, state: RUNNING, filledCount: 1 });
  await untilState(RUNNING);
  expect(progressOf(backend.put({ repairId, filledCount: 1 }))).toBe(0.5);
  const calls = onProgress.mock.calls.length;
  backend.put({ repairId, state: DONE, filledCount: 2, tradeCount: 12n });
  await untilState(DONE);
  expect(feed.current.latest?.tradeCount).toBe(12n);
  expect(onProgress.mock.calls.length).toBeGreaterThan(calls);
  await vi.waitFor(() => {
    expect(backend.watchers).toBe(0);
    expect(feed.jobs.state.latest.value?.[0]?.state).toBe(DONE);
  });
  expect(feed.stream.latest).toBeUndefined();
});

test("a repair of another user is watched, repairs of other instruments are not", async () => {
  backend.put({ repairId: "other", symbol: "ETHUSDT", state: RUNNING });
  backend.put({ repairId: "auto", symbol: "BTCUSDT", state: RUNNING, holeCount: 3 });
  stop = feed.start();
  await untilState(RUNNING);
  expect(feed.current.latest?.repairId).toBe("auto");
  expect(feed.jobs.state.latest.value?.map((job) => job.repairId)).toEqual(["auto"]);
});

test("leaving the page ends the watch at the server", async () => {
  backend.put({ repairId: "auto", symbol: "BTCUSDT", state: RUNNING });
  stop = feed.start();
  await vi.waitFor(() => {
    expect(backend.watchers).toBe(1);
  });
  stop();
  await vi.waitFor(() => {
    expect(backend.watchers).toBe(0);
  });
  backend.put({ repairId: "auto", state: DONE });
  expect(feed.current.latest?.state).toBe(RUNNING);
});

test("a repair is cancelled", async () => {
  const job = backend.put({ repairId: "auto", symbol: "BTCUSDT", state: RUNNING });
  stop = feed.start();
  await untilState(RUNNING);
  await feed.cancel(job);
  await untilState(CANCELLED);
  expect(feed.asked.latest).toEqual({ isWaiting: false, failure: undefined });
});

test("a rejection is shown as text, and nothing is watched", async () => {
  backend.failure = new ConnectError("no room for one more repair", Code.ResourceExhausted);
  stop = feed.start();
  await feed.begin(ALL_HOLES);
  expect(feed.asked.latest).toMatchObject({
    isWaiting: false,
    failure: { reason: "RESOURCE_EXHAUSTED", message: "no room for one more repair" },
  });
  expect(feed.current.latest).toBeUndefined();
  backend.failure = undefined;
  await feed.begin(ALL_HOLES);
  expect(feed.asked.latest.failure).toBeUndefined();
});

test("progress counts processed holes, filled or not", () => {
  const job = (change: MessageInitShape<typeof RepairJobSchema>) =>
    create(RepairJobSchema, { state: RUNNING, ...change });
  expect(progressOf(job({ holeCount: 4, filledCount: 1, unavailableCount: 1 }))).toBe(0.5);
  expect(progressOf(job({}))).toBe(0);
  expect(progressOf(job({ state: DONE }))).toBe(1);
  expect(progressOf(job({ state: DONE, holeCount: 2, filledCount: 1 }))).toBe(1);
});
