import { equals } from "@bufbuild/protobuf";

import { describeFailure, type Failure } from "../api/failure";
import { SubmissionOutcome, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import type { SubmitManualResponse } from "../gen/venuemesh/inspector/v1/inspector_pb";
import {
  type Order,
  type OrderContent,
  OrderContentSchema,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { FrameStore } from "../state/frameStore";
import { grouped, groupText } from "./group";
import { OrderCalls, type OrderClients } from "./orderCalls";
import { newRequestId } from "./requestId";

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
  readonly phase: "review" | "sending" | "failed" | "blocked" | "answered";
  /** Why the last attempt failed. */
  readonly failure?: Failure;
  /** Whether a failed attempt may have placed the order. */
  readonly isInDoubt: boolean;
  /** Its verdict and its outcome. */
  readonly answer?: SubmitManualResponse;
  /** The newest state from the response or the account's stream. */
  readonly order?: Order;
}

/** The orders of a submission as sentences. */
export function submissionText({ content, others, unit }: Submission): string {
  return groupText(content, others, unit);
}

/** Places orders of one account: each is reviewed, and the inspector approves and sends it. */
export class OrderPlacer {
  /** The submission under review. */
  readonly current = new FrameStore<Submission | undefined>(undefined);
  /** Submissions whose outcome is unknown, oldest first. */
  readonly inDoubt = new FrameStore<readonly Submission[]>([]);
  readonly #calls: OrderCalls;

  constructor(
    readonly venue: string,
    readonly account: string,
    onOrder: (order: Order) => void,
    clients?: OrderClients,
  ) {
    this.#calls = new OrderCalls(venue, onOrder, clients);
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
    if (shown?.phase !== "review" && shown?.phase !== "failed") return;
    const { content, others, unit, requestId, isInDoubt } = shown;
    const sending = { content, others, unit, requestId, isInDoubt, phase: "sending" as const };
    this.current.set(sending);
    const [first = content, ...rest] =
      others.length === 0 ? [content] : grouped(content, others, requestId);
    const request = { requestId, operation: Operation.PLACE, content: first, others: rest };
    try {
      this.#answered(sending, await this.#calls.submit(request));
    } catch (error) {
      this.#fail(sending, describeFailure(error));
    }
  }

  /** Applies an order of the account's stream: a newer state of the order that is shown. */
  see(order: Order): void {
    const shown = this.current.latest;
    if (shown?.order?.clientOrderId !== order.clientOrderId) return;
    if (shown.order.updatedTimeNs <= order.updatedTimeNs) this.current.set({ ...shown, order });
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

  /** Shows the outcome of a submission. Without an outcome it stays in doubt. */
  #answered(tried: Submission, answer: SubmitManualResponse): void {
    const { verdict, submitted } = answer;
    const isAllowed = verdict?.verdict === Verdict.ALLOW;
    if (isAllowed && !submitted) {
      this.#keep({ ...tried, answer, phase: "failed", isInDoubt: true });
      return;
    }
    const isTaken = isAllowed && submitted?.outcome === SubmissionOutcome.TAKEN;
    const order = isTaken ? submitted.orders[0] : undefined;
    const phase = order ? "answered" : "blocked";
    this.#keep({ ...tried, answer, phase, isInDoubt: false, ...(order ? { order } : {}) });
  }

  #fail(tried: Submission, failure: Failure): void {
    const isInDoubt = tried.isInDoubt || mayBeWritten(failure);
    this.#keep({ ...tried, phase: "failed", failure, isInDoubt });
  }

  #keep(tried: Submission): void {
    this.forget(tried.requestId);
    if (tried.isInDoubt) this.inDoubt.set([...this.inDoubt.latest, tried]);
    if (this.current.latest?.requestId === tried.requestId) this.current.set(tried);
  }
}

function mayBeWritten(failure: Failure): boolean {
  return !failure.isRejected && !NOTHING_WRITTEN.has(failure.reason);
}
