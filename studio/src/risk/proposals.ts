import { describeFailure, type Failure } from "../api/failure";
import { inspector } from "../api/transport";
import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { SubmissionOutcome, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import type { SubmitManualResponse } from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { Proposal } from "../gen/venuemesh/inspector/v1/proposals_pb";
import { type OrderContent, OrderType } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { FrameStore } from "../state/frameStore";
import { enumText } from "../why/enumText";

/** How far a decision on a proposal is. */
export interface Decision {
  readonly phase: "asked" | "sending" | "failed" | "done";
  readonly failure?: Failure;
  /** The outcome in words. */
  readonly outcome?: string;
}

type Client = Pick<typeof inspector, "confirmProposal" | "declineProposal">;

/** Confirms or declines a proposal once. Either may be repeated: it has the same answer. */
export class ProposalDecider {
  readonly decision = new FrameStore<Decision>({ phase: "asked" });
  readonly #client: Client;

  constructor(client: Client = inspector) {
    this.#client = client;
  }

  async confirm(requestId: string): Promise<void> {
    await this.#decide(async () =>
      outcomeText((await this.#client.confirmProposal({ requestId })).submitted),
    );
  }

  async decline(requestId: string, reason: string): Promise<void> {
    await this.#decide(async () => {
      await this.#client.declineProposal({ requestId, reason });
      return "It is declined, and has no effect.";
    });
  }

  async #decide(call: () => Promise<string>): Promise<void> {
    if (this.decision.latest.phase === "sending") return;
    this.decision.set({ phase: "sending" });
    try {
      this.decision.set({ phase: "done", outcome: await call() });
    } catch (error) {
      this.decision.set({ phase: "failed", failure: describeFailure(error) });
    }
  }
}

/** The outcome of a confirmed proposal. */
export function outcomeText(response: SubmitManualResponse | undefined): string {
  const verdict = response?.verdict?.verdict ?? Verdict.UNSPECIFIED;
  if (verdict !== Verdict.ALLOW)
    return `It is confirmed, and the inspector has not approved it: ${enumText(Verdict, verdict)}.`;
  const outcome = response?.submitted?.outcome ?? SubmissionOutcome.UNSPECIFIED;
  if (outcome === SubmissionOutcome.UNSPECIFIED)
    return "It is approved; whether it reached the venue is not known yet.";
  const { refusalReason = "", detail = "" } = response?.submitted ?? {};
  const why = outcome === SubmissionOutcome.TAKEN ? "" : `: ${refusalReason} ${detail}`.trimEnd();
  return `It is approved, and ${enumText(SubmissionOutcome, outcome)}${why}.`;
}

/** "amend: ID to Buy 0.01 BTCUSDT limit 60000, binance/paper". */
export function proposalText({ requested }: Proposal): string {
  if (!requested?.content) return "";
  const { operation, content, others, targetClientOrderId } = requested;
  const orders = [content, ...others].map(termsText).filter((one) => one !== "");
  const what = [targetClientOrderId, orders.join("; ")].filter((one) => one !== "").join(" to ");
  const { venue, account } = content;
  return `${enumText(Operation, operation)}: ${what}, ${venue}/${account}`;
}

function termsText(content: OrderContent): string {
  const { side, size, symbol, type, price, stopPrice, reduceOnly } = content;
  if (size === "") return "";
  const parts = [
    side === Side.BUY ? "Buy" : "Sell",
    size,
    symbol,
    enumText(OrderType, type),
    price,
    stopPrice === "" ? "" : `stop ${stopPrice}`,
    reduceOnly ? "reduce only" : "",
  ];
  return parts.filter((one) => one !== "").join(" ");
}
