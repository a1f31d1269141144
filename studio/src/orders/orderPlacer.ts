import { equals } from "@bufbuild/protobuf";

import { describeFailure, type Failure } from "../api/failure";
import { retryUntilAnswered } from "../api/retry";
import {
  type Order,
  type OrderContent,
  OrderContentSchema,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import type { ApprovedOrder } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import type { Account } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { FrameStore } from "../state/frameStore";
import { grouped, groupText } from "./group";
import { OrderCalls, type OrderClients } from "./orderCalls";
import { newRequestId } from "./requestId";

/** Reasons that mean: the gateway has no approver. */
const ABSENT: ReadonlySet<string> = new Set(["UNIMPLEMENTED", "NOT_FOUND", "UNKNOWN_SERVICE"]);
/** Further rejections after which no order exists: nothing was written, so nothing was sent. */
const NOTHING_WRITTEN: ReadonlySet<string> = new Set([
  "UNKNOWN_ACCOUNT",
  "UNKNOWN_SERVICE",
  "UNKNOWN_VENUE",
  "REQUEST_ID_REUSED",
]);

/** An order that is being submitted, and its outcome. */
export interface Submission {
  readonly content: OrderContent;
  /** Orders that are placed with it as a group: exits, or an alternative. */
  readonly others: readonly OrderContent[];
  /** The unit of their sizes. Empty if it is not known. */
  readonly unit: string;
  /** The same for each attempt, so that at most one order is placed. */
  readonly requestId: string;
  readonly phase: "review" | "sending" | "failed" | "answered";
  /** Why the last attempt failed. */
  readonly failure?: Failure;
  /** Whether a failed attempt may have placed the order. */
  readonly isInDoubt: boolean;
  /** The newest state from the response or the account's stream. */
  readonly order?: Order;
}

/** The orders of a submission as sentences. */
export function submissionText({ content, others, unit }: Submission): string {
  return groupText(content, others, unit);
}

/** Whether the gateway has an approver for orders of this page. */
export type Approver = "unknown" | "available" | "absent";

/** Whether this page may place orders: there is an approver, and the account is a paper account. */
export function mayPlace(approver: Approver, account: Account | undefined): boolean {
  return approver !== "absent" && account?.paper !== false;
}

/** Places orders of one account. Each order is reviewed, approved and sent. */
export class OrderPlacer {
  /** The submission under review. */
  readonly current = new FrameStore<Submission | undefined>(undefined);
  /** Submissions whose outcome is unknown, oldest first. */
  readonly inDoubt = new FrameStore<readonly Submission[]>([]);
  readonly approver = new FrameStore<Approver>("unknown");
  readonly #calls: OrderCalls;

  constructor(
    readonly venue: string,
    readonly account: string,
    onOrder: (order: Order) => void,
    clients?: OrderClients,
  ) {
    this.#calls = new OrderCalls(venue, onOrder, clients);
  }

  /** Checks whether there is an approver. Returns a function that stops the check. */
  start(): () => void {
    const controller = new AbortController();
    void this.#findApprover(controller.signal);
    return () => {
      controller.abort();
    };
  }

  /** Shows an order for review. If an equal submission has an unknown outcome, resumes that one. */
  review(content: OrderContent, others: readonly OrderContent[] = [], unit = ""): void {
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
      this.current.set({
        content,
        others,
        unit,
        requestId: newRequestId(),
        phase: "review",
        isInDoubt: false,
      });
  }

  /** Shows a submission with an unknown outcome again. */
  resume(submission: Submission): void {
    this.current.set(submission);
  }

  /** Sends or resends the submission under review. */
  async send(): Promise<void> {
    const shown = this.current.latest;
    if (!shown || shown.phase === "sending" || shown.phase === "answered") return;
    const { content, others, unit, requestId, isInDoubt } = shown;
    const sending = { content, others, unit, requestId, isInDoubt, phase: "sending" as const };
    this.current.set(sending);
    let isSent = false;
    try {
      const approved = await this.#approve(sending);
      isSent = true;
      const orders = await this.#place(approved);
      for (const order of orders) this.see(order);
    } catch (error) {
      this.#fail(sending, describeFailure(error), isSent);
    }
  }

  /** Applies an order of the account's stream. It may resolve an unknown outcome. */
  see(order: Order): void {
    const { requestId } = order;
    if (requestId === "") return;
    this.forget(requestId);
    const shown = this.current.latest;
    if (shown?.requestId !== requestId) return;
    if ((shown.order?.updatedTimeNs ?? 0n) > order.updatedTimeNs) return;
    const { content, others, unit } = shown;
    this.current.set({
      content,
      others,
      unit,
      requestId,
      phase: "answered",
      isInDoubt: false,
      order,
    });
  }

  /** Closes the review, unless the order is being sent. */
  close(): void {
    if (this.current.latest?.phase !== "sending") this.current.set(undefined);
  }

  /** Removes a submission from the list of unknown outcomes. */
  forget(requestId: string): void {
    const left = this.inDoubt.latest.filter((each) => each.requestId !== requestId);
    if (left.length < this.inDoubt.latest.length) this.inDoubt.set(left);
  }

  /** Requests approval for the order, or for each order of its group. */
  async #approve({ content, others, requestId }: Submission): Promise<readonly ApprovedOrder[]> {
    const members = others.length === 0 ? [content] : grouped(content, others, requestId);
    const asked = members.map(async (member, place) => {
      const name = place === 0 ? requestId : `${requestId}-${place}`;
      return await this.#calls.approve({ content: member, requestId: name });
    });
    return await Promise.all(asked);
  }

  /** Places approved orders. Returns them, the order of the form first. */
  async #place(approved: readonly ApprovedOrder[]): Promise<readonly Order[]> {
    const { venue } = this;
    const [alone] = approved;
    return await this.#calls.send(async (client, options) => {
      if (approved.length > 1) {
        const request = { venue, approved: [...approved] };
        return (await client.placeOrderGroup(request, options)).orders;
      }
      const request = alone ? { venue, approved: alone } : { venue };
      const { order } = await client.placeOrder(request, options);
      if (!order) throw new Error("The response has no order.");
      return [order];
    });
  }

  #fail(tried: Submission, failure: Failure, isSent: boolean): void {
    if (!isSent && ABSENT.has(failure.reason)) this.approver.set("absent");
    const { requestId } = tried;
    // The stream may have delivered the order although the response was lost.
    if (this.current.latest?.requestId === requestId && this.current.latest.order) return;
    const isInDoubt = tried.isInDoubt || (isSent && mayBeWritten(failure));
    const failed: Submission = { ...tried, phase: "failed", failure, isInDoubt };
    this.forget(requestId);
    if (isInDoubt) this.inDoubt.set([...this.inDoubt.latest, failed]);
    if (this.current.latest?.requestId === requestId) this.current.set(failed);
  }

  /** Sends an empty request. An approver rejects it, which shows that it is available. */
  async #findApprover(signal: AbortSignal): Promise<void> {
    await retryUntilAnswered(
      async () => {
        try {
          await this.#calls.approve({}, { signal });
        } catch (error) {
          const failure = describeFailure(error);
          if (ABSENT.has(failure.reason)) this.approver.set("absent");
          else if (failure.isRejected) this.approver.set("available");
          else throw error;
        }
      },
      signal,
      () => {
        this.approver.set("unknown");
      },
    );
  }
}

function mayBeWritten(failure: Failure): boolean {
  return !failure.isRejected && !NOTHING_WRITTEN.has(failure.reason);
}
