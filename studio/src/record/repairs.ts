import type { Client } from "@connectrpc/connect";

import { describeFailure, type Failure } from "../api/failure";
import { follow, type StreamState } from "../api/stream";
import { repair } from "../api/transport";
import type { Repair, RepairJob } from "../gen/venuemesh/repair/v1/repair_pb";
import { RepairState } from "../gen/venuemesh/repair/v1/repair_pb";
import { FrameStore } from "../state/frameStore";
import { Poll } from "../state/poll";

/** Maximum page size; a page holds repairs of all instruments of the venue. */
const PAGE_SIZE = 1_000;
const PAUSE_MS = 5_000;
const ID_BYTES = 8;

const WORDS: Record<RepairState, string> = {
  [RepairState.UNSPECIFIED]: "unspecified",
  [RepairState.QUEUED]: "queued",
  [RepairState.RUNNING]: "running",
  [RepairState.DONE]: "done",
  [RepairState.INCOMPLETE]: "incomplete",
  [RepairState.CANCELLED]: "cancelled",
};

/** Which holes a repair is about: those that touch this time, ns since the Unix epoch. 0: open. */
export interface RepairRange {
  readonly startTimeNs: bigint;
  readonly endTimeNs: bigint;
}

export const ALL_HOLES: RepairRange = { startTimeNs: 0n, endTimeNs: 0n };

/** The newest repair request. */
export interface Asked {
  readonly isWaiting: boolean;
  /** Why it was rejected. */
  readonly failure: Failure | undefined;
}

export function stateLabel(state: RepairState): string {
  return WORDS[state];
}

export function hasEnded({ state }: RepairJob): boolean {
  return state !== RepairState.QUEUED && state !== RepairState.RUNNING;
}

/**
 * Share of the holes that the job has processed, from 0 to 1. A finished job has processed every
 * hole, also one that was filled together with its neighbour and is not counted.
 */
export function progressOf(job: RepairJob): number {
  if (job.state === RepairState.DONE) return 1;
  if (job.holeCount === 0) return hasEnded(job) ? 1 : 0;
  return Math.min(1, (job.filledCount + job.unavailableCount) / job.holeCount);
}

/** The repairs of one instrument: past, running and requested. */
export class RepairFeed {
  /** Newest first. */
  readonly jobs: Poll<readonly RepairJob[]>;
  /** The repair that is or was watched last. */
  readonly current = new FrameStore<RepairJob | undefined>(undefined);
  /** State of the watch stream; undefined while nothing is watched. */
  readonly stream = new FrameStore<StreamState | undefined>(undefined);
  readonly asked = new FrameStore<Asked>({ isWaiting: false, failure: undefined });
  readonly #onProgress: () => void;
  readonly #client: Client<typeof Repair>;
  #controller = new AbortController();
  #watchedId = "";
  #stopWatch: (() => void) | undefined;

  /** `onProgress`: holes have changed. */
  constructor(
    readonly venue: string,
    readonly symbol: string,
    onProgress: () => void,
    client = repair,
  ) {
    this.#onProgress = onProgress;
    this.#client = client;
    this.jobs = new Poll((signal) => this.#list(signal), PAUSE_MS);
  }

  /** Lists repairs and watches the newest running one. Returns a function that stops both. */
  start(): () => void {
    this.#controller = new AbortController();
    const stop = this.jobs.start();
    return () => {
      stop();
      this.#controller.abort();
      this.#endWatch();
    };
  }

  /** Starts a repair and watches it. */
  async begin(range: RepairRange): Promise<void> {
    const { venue, symbol } = this;
    // This page makes the id, so that a request sent twice starts one repair.
    const request = { venue, symbol, ...range, repairId: newRepairId() };
    await this.#ask(async (signal) => (await this.#client.startRepair(request, { signal })).job);
  }

  /** Cancels the repair. Filled holes stay filled. */
  async cancel({ repairId }: RepairJob): Promise<void> {
    await this.#ask(
      async (signal) => (await this.#client.cancelRepair({ repairId }, { signal })).job,
    );
  }

  async #ask(call: (signal: AbortSignal) => Promise<RepairJob | undefined>): Promise<void> {
    const { signal } = this.#controller;
    this.asked.set({ isWaiting: true, failure: undefined });
    let failure: Failure | undefined;
    try {
      const job = await call(signal);
      if (job && !signal.aborted) this.#watch(job);
    } catch (error) {
      failure = describeFailure(error);
    }
    this.asked.set({ isWaiting: false, failure: signal.aborted ? undefined : failure });
  }

  async #list(signal: AbortSignal): Promise<readonly RepairJob[]> {
    const request = { venue: this.venue, pageSize: PAGE_SIZE };
    const { jobs } = await this.#client.listRepairs(request, { signal });
    const ours = jobs.filter(({ symbol }) => symbol === this.symbol);
    const running = ours.find((job) => !hasEnded(job));
    if (running && !signal.aborted && this.#stopWatch === undefined) this.#watch(running);
    return ours;
  }

  #watch(job: RepairJob): void {
    const { repairId } = job;
    if (this.#watchedId !== repairId) this.#endWatch();
    this.#take(job);
    if (hasEnded(job) || this.#stopWatch) return;
    this.#watchedId = repairId;
    this.#stopWatch = follow((options) => this.#client.watchRepair({ repairId }, options), {
      onMessage: (message) => {
        if (message.job) this.#take(message.job);
      },
      onState: (state) => {
        this.stream.set(state);
      },
    });
  }

  #take(job: RepairJob): void {
    const before = this.current.latest;
    this.current.set(job);
    if (hasEnded(job)) {
      this.#endWatch();
      this.jobs.refresh();
    }
    const isSame = before?.repairId === job.repairId && before.state === job.state;
    if (!isSame || progressOf(before) !== progressOf(job)) this.#onProgress();
  }

  #endWatch(): void {
    this.#stopWatch?.();
    this.#stopWatch = undefined;
    this.#watchedId = "";
    this.stream.set(undefined);
  }
}

function newRepairId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return `studio-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
