import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import { SubmissionOutcome, Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import { Inspector } from "../gen/venuemesh/inspector/v1/inspector_pb";
import { ProposalSchema } from "../gen/venuemesh/inspector/v1/proposals_pb";
import { OrderType } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { ProposalDecider, proposalText } from "./proposals";

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", () => 0);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** An inspector whose next call fails as long as there is a failure. */
function fakeInspector(failures: ConnectError[] = []) {
  const asked: string[] = [];
  const transport = createRouterTransport(({ service }) => {
    service(Inspector, {
      confirmProposal({ requestId }) {
        asked.push(`confirm ${requestId}`);
        const failure = failures.shift();
        if (failure) throw failure;
        const verdict = { verdict: Verdict.ALLOW };
        return { submitted: { verdict, submitted: { outcome: SubmissionOutcome.TAKEN } } };
      },
      declineProposal({ requestId, reason }) {
        asked.push(`decline ${requestId}: ${reason}`);
        return {};
      },
    });
  });
  return { asked, decider: new ProposalDecider(createClient(Inspector, transport)) };
}

test("a proposal is confirmed once, and its outcome is shown", async () => {
  const { asked, decider } = fakeInspector();
  const first = decider.confirm("r1");
  await decider.confirm("r1");
  await first;
  expect(asked).toEqual(["confirm r1"]);
  expect(decider.decision.latest).toEqual({ phase: "done", outcome: "It is approved, and taken." });
});

test("a refusal is shown, and the confirmation can be repeated", async () => {
  const { decider } = fakeInspector([new ConnectError("late", Code.FailedPrecondition)]);
  await decider.confirm("r1");
  expect(decider.decision.latest).toMatchObject({ phase: "failed", failure: { message: "late" } });
  await decider.confirm("r1");
  expect(decider.decision.latest.phase).toBe("done");
});

test("a proposal is declined with a reason", async () => {
  const { asked, decider } = fakeInspector();
  await decider.decline("r1", "too large");
  expect(asked).toEqual(["decline r1: too large"]);
  expect(decider.decision.latest.phase).toBe("done");
});

test("a proposal is shown with all terms of its orders", () => {
  const place = { venue: "binance", account: "paper", symbol: "BTCUSDT" };
  const content = { ...place, side: Side.BUY, size: "0.01", type: OrderType.LIMIT, price: "60000" };
  const stop = {
    ...place,
    side: Side.SELL,
    size: "0.01",
    type: OrderType.STOP,
    stopPrice: "59000",
  };
  const proposed = create(ProposalSchema, {
    requested: { operation: Operation.PLACE, content, others: [stop] },
  });
  expect(proposalText(proposed)).toBe(
    "place: Buy 0.01 BTCUSDT limit 60000; Sell 0.01 BTCUSDT stop stop 59000, binance/paper",
  );
  const amendment = create(ProposalSchema, {
    requested: { operation: Operation.AMEND, content, targetClientOrderId: "c1" },
  });
  expect(proposalText(amendment)).toBe("amend: c1 to Buy 0.01 BTCUSDT limit 60000, binance/paper");
  const cancel = create(ProposalSchema, {
    requested: { operation: Operation.CANCEL, content: place, targetClientOrderId: "c1" },
  });
  expect(proposalText(cancel)).toBe("cancel: c1, binance/paper");
});
