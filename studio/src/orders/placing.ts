import { equals } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";

import { describeFailure, type Failure } from "../api/failure";
import { untilAnswered } from "../api/patience";
import { approvals, ofVenue, tradeFlow } from "../api/transport";
import type { Approvals } from "../gen/venuemesh/tradeflow/v1/approvals_pb";
import {
  type Order,
  type OrderContent,
  OrderContentSchema,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { ApprovedOrder } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import type { Account, TradeFlow } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { FrameStore } from "../state/frameStore";
import { CALL_MS_MAX } from "./cancelling";
import { grouped } from "./group";

const ID_BYTES = 12;
/** How a gateway says that nobody approves orders here. */
const ABSENT: ReadonlySet<string> = new Set(["UNIMPLEMENTED", "NOT_FOUND", "UNKNOWN_SERVICE"]);
/** Refusals besides those that a Failure knows: nothing was written, so nothing was sent. */
const NOTHING_WRITTEN: ReadonlySet<string> = new Set([
  "UNKNOWN_ACCOUNT",
  "UNKNOWN_SERVICE",
  "UNKNOWN_VENUE",
  "REQUEST_ID_REUSED",
]);

/** One order on its way: what it is, and what has become of it. */
export interface Submission {
  readonly content: OrderContent;
  /** Placed with it, as a group: what is to close it once it is filled, or another way to do it. */
  readonly others: readonly OrderContent[];
  /** The same for each try, so that however many there are, there is one order. */
  readonly requestId: string;
  readonly phase: "review" | "sending" | "failed" | "answered";
  /** Why the last try failed. */
  readonly failure?: Failure;
  /** Whether a try that failed may have placed it all the same. */
  readonly isInDoubt: boolean;
  /** As the venue, or the account's stream, has told it. */
  readonly order?: Order;
}

/** Whether somebody is there who approves orders of pages. */
export type Approver = "asked" | "there" | "absent";

/** Whether a page may place orders: somebody approves them, and nothing real hangs on them. */
export function mayPlace(approver: Approver, account: Account | undefined): boolean {
  return approver !== "absent" && account?.paper !== false;
}

/** Places orders of one account: each is shown first, approved, then sent. */
export class Placing {
  /** The one that is shown. */
  readonly current = new FrameStore<Submission | undefined>(undefined);
  /** Those of which it is not known whether they were placed, oldest first. */
  readonly inDoubt = new FrameStore<readonly Submission[]>([]);
  readonly approver = new FrameStore<Approver>("asked");
  readonly #onOrder: (order: Order) => void;
  readonly #tradeFlow: Client<typeof TradeFlow>;
  readonly #approvals: Client<typeof Approvals>;

  constructor(
    readonly venue: string,
    readonly account: string,
    onOrder: (order: Order) => void,
    clients = { tradeFlow, approvals },
  ) {
    this.#onOrder = onOrder;
    this.#tradeFlow = clients.tradeFlow;
    this.#approvals = clients.approvals;
  }

  /** Finds out whether orders can be approved here. Returns what ends that. */
  start(): () => void {
    const controller = new AbortController();
    void this.#findApprover(controller.signal);
    return () => {
      controller.abort();
    };
  }

  /** Shows what will be sent. An order that is in doubt is the same one, not another. */
  review(content: OrderContent, others: readonly OrderContent[] = []): void {
    const before = this.inDoubt.latest.find(
      (each) =>
        equals(OrderContentSchema, each.content, content) &&
        each.others.length === others.length &&
        others.every((wanted, place) => {
          const other = each.others[place];
          return other !== undefined && equals(OrderContentSchema, other, wanted);
        }),
    );
    if (before) this.resume(before);
    else
      this.current.set({ content, others, requestId: newId(), phase: "review", isInDoubt: false });
  }

  /** Shows one again that is in doubt. */
  resume(submission: Submission): void {
    this.current.set(submission);
  }

  /** Sends what is shown, or sends it again. */
  async send(): Promise<void> {
    const shown = this.current.latest;
    if (!shown || shown.phase === "sending" || shown.phase === "answered") return;
    const { content, others, requestId, isInDoubt } = shown;
    const sending = { content, others, requestId, isInDoubt, phase: "sending" as const };
    this.current.set(sending);
    let isSent = false;
    try {
      const approved = await this.#approve(sending);
      isSent = true;
      const orders = await this.#place(approved);
      for (const order of orders) this.#onOrder(order);
      for (const order of orders) this.see(order);
    } catch (error) {
      this.#fail(sending, describeFailure(error), isSent);
    }
  }

  /** Takes note of what the account's stream tells: it may settle what a call did not. */
  see(order: Order): void {
    const { requestId } = order;
    if (requestId === "") return;
    this.forget(requestId);
    const shown = this.current.latest;
    if (shown?.requestId !== requestId) return;
    if ((shown.order?.updatedTimeNs ?? 0n) > order.updatedTimeNs) return;
    const { content, others } = shown;
    this.current.set({ content, others, requestId, phase: "answered", isInDoubt: false, order });
  }

  /** Shows nothing any more. What is being sent is waited for. */
  close(): void {
    if (this.current.latest?.phase !== "sending") this.current.set(undefined);
  }

  /** A person has seen that it was placed, or was not. */
  forget(requestId: string): void {
    const left = this.inDoubt.latest.filter((each) => each.requestId !== requestId);
    if (left.length < this.inDoubt.latest.length) this.inDoubt.set(left);
  }

  /** Has the order approved, or each one of its group. */
  async #approve({ content, others, requestId }: Submission): Promise<readonly ApprovedOrder[]> {
    const members = others.length === 0 ? [content] : grouped(content, others, requestId);
    const asked = members.map(async (member, place) => {
      const name = place === 0 ? requestId : `${requestId}-${place}`;
      const request = { content: member, requestId: name };
      const { approved } = await this.#approvals.approve(request, { timeoutMs: CALL_MS_MAX });
      if (!approved) throw new Error("The approval is empty.");
      return approved;
    });
    return await Promise.all(asked);
  }

  /** Places what was approved; gives the orders, the one that was filled in first. */
  async #place(approved: readonly ApprovedOrder[]): Promise<readonly Order[]> {
    const { venue } = this;
    const options = { ...ofVenue(venue), timeoutMs: CALL_MS_MAX };
    const [alone] = approved;
    if (approved.length > 1) {
      const request = { venue, approved: [...approved] };
      return (await this.#tradeFlow.placeOrderGroup(request, options)).orders;
    }
    const { order } = await this.#tradeFlow.placeOrder(
      alone ? { venue, approved: alone } : { venue },
      options,
    );
    if (!order) throw new Error("The answer has no order.");
    return [order];
  }

  #fail(tried: Submission, failure: Failure, isSent: boolean): void {
    if (!isSent && ABSENT.has(failure.reason)) this.approver.set("absent");
    const { requestId } = tried;
    // The stream may have been faster than the answer that did not come.
    if (this.current.latest?.requestId === requestId && this.current.latest.order) return;
    const isInDoubt = tried.isInDoubt || (isSent && mayBeWritten(failure));
    const failed: Submission = { ...tried, phase: "failed", failure, isInDoubt };
    this.forget(requestId);
    if (isInDoubt) this.inDoubt.set([...this.inDoubt.latest, failed]);
    if (this.current.latest?.requestId === requestId) this.current.set(failed);
  }

  /** Who approves refuses an empty request; that signs nothing, and tells that he is there. */
  async #findApprover(signal: AbortSignal): Promise<void> {
    await untilAnswered(
      async () => {
        try {
          await this.#approvals.approve({}, { signal });
        } catch (error) {
          const failure = describeFailure(error);
          if (ABSENT.has(failure.reason)) this.approver.set("absent");
          else if (failure.refused) this.approver.set("there");
          else throw error;
        }
      },
      signal,
      () => {
        this.approver.set("asked");
      },
    );
  }
}

function mayBeWritten(failure: Failure): boolean {
  return !failure.refused && !NOTHING_WRITTEN.has(failure.reason);
}

function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return `studio-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
