import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";

import { Channel, GapReason, GapSchema, Side } from "../gen/venuemesh/common/v1/types_pb";
import { MarketDataBatchSchema } from "../gen/venuemesh/marketdata/v1/batch_pb";
import { TradeSchema } from "../gen/venuemesh/marketdata/v1/market_data_pb";
import { formatScaled } from "../ui/decimal";
import { addNotices, GAP_NOTICES_MAX, gapNotice } from "./gaps";
import { applyTradeBatch, fillTape, NO_TRADES, TAPE_ROWS_MAX } from "./tape";

function tradeBatch(ids: number[], symbol = "BTCUSDT") {
  return create(MarketDataBatchSchema, {
    channel: Channel.TRADES,
    instruments: [{ symbol, priceScale: 2, sizeScale: 5 }],
    columns: {
      case: "trades",
      value: {
        instrument: ids.map(() => 0),
        price: ids.map((id) => BigInt(6_000_000 + id)),
        size: ids.map(() => 100n),
        side: ids.map(() => Side.BUY),
        venueTimeNs: ids.map(BigInt),
        receivedTimeNs: ids.map(BigInt),
        tradeId: ids.map(BigInt),
      },
    },
  });
}

const idsOf = ({ rows }: { rows: readonly { id: string }[] }) => rows.map((row) => row.id);

test("the newest trade is first, and trades of other instruments are skipped", () => {
  let tape = applyTradeBatch(NO_TRADES, tradeBatch([1, 2]), "BTCUSDT");
  tape = applyTradeBatch(tape, tradeBatch([9], "ETHUSDT"), "BTCUSDT");
  tape = applyTradeBatch(tape, tradeBatch([3]), "BTCUSDT");
  expect(idsOf(tape)).toEqual(["3", "2", "1"]);
  expect(tape.rows.map((row) => formatScaled(row.price))[0]).toBe("60000.03");
  expect(new Set(tape.rows.map((row) => row.key)).size).toBe(3);
});

test("the tape is bounded and counts dropped trades", () => {
  const ids = Array.from({ length: TAPE_ROWS_MAX + 50 }, (_, index) => index + 1);
  const tape = applyTradeBatch(NO_TRADES, tradeBatch(ids), "BTCUSDT");
  expect(tape.rows).toHaveLength(TAPE_ROWS_MAX);
  expect(tape.rows[0]?.id).toBe(String(TAPE_ROWS_MAX + 50));
  expect(tape.liveCount).toBe(TAPE_ROWS_MAX + 50);
  const next = applyTradeBatch(tape, tradeBatch([1000, 1001]), "BTCUSDT");
  expect(next.rows).toHaveLength(TAPE_ROWS_MAX);
  expect(next.rows[0]?.id).toBe("1001");
});

test("recorded trades go below the live ones, each trade once", () => {
  const recorded = [3, 2, 1].map((id) =>
    create(TradeSchema, { tradeId: String(id), price: "1.5", size: "2", venueTimeNs: BigInt(id) }),
  );
  const live = applyTradeBatch(NO_TRADES, tradeBatch([3, 4]), "BTCUSDT");
  const tape = fillTape(live, recorded);
  expect(idsOf(tape)).toEqual(["4", "3", "2", "1"]);
  expect(idsOf(fillTape(tape, recorded))).toEqual(["4", "3", "2", "1"]);
});

function gap(detected: number) {
  return gapNotice(
    Channel.BOOK,
    create(GapSchema, {
      symbol: "BTCUSDT",
      reason: GapReason.OUT_OF_ORDER,
      lastIdBefore: 7n,
      detectedTimeNs: BigInt(detected),
    }),
  );
}

test("gap notices are unique, newest first, and bounded", () => {
  expect(gap(1)).toMatchObject({
    channel: "book",
    reason: "out of order",
    detail: "last before 7, first after unknown",
  });
  const notices = addNotices([gap(1)], [gap(1), gap(2)]);
  expect(notices.map((notice) => notice.detectedTimeNs)).toEqual([2n, 1n]);
  expect(addNotices(notices, [gap(2)])).toBe(notices);
  const many = Array.from({ length: 300 }, (_, index) => gap(index));
  expect(addNotices([], many)).toHaveLength(GAP_NOTICES_MAX);
});
