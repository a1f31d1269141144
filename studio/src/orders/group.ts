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
import { canHaveAlternative, isStop, type Ticket } from "./ticket";

/** What is placed together with the order of a ticket without problems; often nothing. */
export function othersOf(ticket: Ticket, first: OrderContent): readonly OrderContent[] {
  const instead = canHaveAlternative(ticket) ? ticket.alternative.trim() : "";
  return instead === "" ? exitsOf(ticket, first) : [alternativeOf(first, instead)];
}

/** What is to close an order once it is filled. */
function exitsOf({ profit, loss }: Ticket, entry: OrderContent): readonly OrderContent[] {
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

/** The same at another price: of a stop a limit order, of the others a stop. */
function alternativeOf(first: OrderContent, at: string): OrderContent {
  const { venue, account, symbol, size, side, reduceOnly } = first;
  const where = isStop(first)
    ? { type: OrderType.LIMIT, price: at }
    : { type: OrderType.STOP, stopPrice: at };
  return create(OrderContentSchema, { venue, account, symbol, size, side, reduceOnly, ...where });
}

/** An order and what is placed with it, as the contract wants them: one of the same side is another
 * way to do the same, those of the other side close it. */
export function grouped(
  first: OrderContent,
  others: readonly OrderContent[],
  groupId: string,
): readonly OrderContent[] {
  const [own, theirs] = isAlternative(first, others)
    ? [GroupRole.ALTERNATIVE, GroupRole.ALTERNATIVE]
    : [GroupRole.ENTRY, GroupRole.EXIT];
  return [first, ...others].map((content) => {
    const role = content === first ? own : theirs;
    const member = clone(OrderContentSchema, content);
    member.group = create(OrderGroupSchema, { groupId, role, count: others.length + 1 });
    return member;
  });
}

/** All that will be sent, in words. */
export function groupSentence(first: OrderContent, others: readonly OrderContent[]): string {
  if (others.length === 0) return sentenceOf(first);
  const rest = others.map(sentenceOf).join(". Or: ");
  if (isAlternative(first, others)) {
    return `${sentenceOf(first)}. Or: ${rest}. Both together fill no more than ${first.size}`;
  }
  return `${sentenceOf(first)}. When it is filled: ${rest}`;
}

function isAlternative(first: OrderContent, others: readonly OrderContent[]): boolean {
  return others.every(({ side }) => side === first.side);
}
