import { clone, create } from "@bufbuild/protobuf";

import { Side } from "../gen/venuemesh/common/v1/types_pb";
import {
  GroupRole,
  type OrderContent,
  OrderContentSchema,
  OrderGroupSchema,
  OrderType,
} from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { sentenceOf } from "./sentence";
import type { Ticket } from "./ticket";

/** What is to close the order of a ticket without problems, once it is filled; often nothing. */
export function exitsOf({ profit, loss }: Ticket, entry: OrderContent): readonly OrderContent[] {
  const { venue, account, symbol, size } = entry;
  const side = entry.side === Side.BUY ? Side.SELL : Side.BUY;
  const whole = { venue, account, symbol, size, side };
  const exits: OrderContent[] = [];
  const [gain, stop] = [profit.trim(), loss.trim()];
  if (gain !== "") {
    exits.push(create(OrderContentSchema, { ...whole, type: OrderType.LIMIT, price: gain }));
  }
  if (stop !== "") {
    exits.push(create(OrderContentSchema, { ...whole, type: OrderType.STOP, stopPrice: stop }));
  }
  return exits;
}

/** An entry and its exits as the contract wants them. */
export function grouped(
  entry: OrderContent,
  exits: readonly OrderContent[],
  groupId: string,
): readonly OrderContent[] {
  return [entry, ...exits].map((content) => {
    const role = content === entry ? GroupRole.ENTRY : GroupRole.EXIT;
    const member = clone(OrderContentSchema, content);
    member.group = create(OrderGroupSchema, { groupId, role, count: exits.length + 1 });
    return member;
  });
}

/** All that will be sent, in words. */
export function groupSentence(entry: OrderContent, exits: readonly OrderContent[]): string {
  if (exits.length === 0) return sentenceOf(entry);
  return `${sentenceOf(entry)}. When it is filled: ${exits.map(sentenceOf).join(". Or: ")}`;
}
