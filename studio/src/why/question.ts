import type { MessageInitShape } from "@bufbuild/protobuf";

import type { WhyRequestSchema } from "../gen/venuemesh/audit/v1/audit_pb";
import type { Question } from "../route";
import { hexBytes } from "./bytes";

/** The request of a question. */
export function requestOf(question: Question): MessageInitShape<typeof WhyRequestSchema> {
  if (question.about === "event") {
    // What is no event id is refused by the service, which says what is wrong.
    return { eventId: hexBytes(question.eventId) ?? new Uint8Array(1) };
  }
  const { venue, account } = question;
  if (question.about === "order") return { venue, account, orderId: question.orderId };
  if (question.about === "position") return { venue, account, symbol: question.symbol };
  return { venue, account, symbol: question.symbol, fillId: question.fillId };
}

/** "fill 4711 of BTCUSDT, binance/main". */
export function questionText(question: Question): string {
  if (question.about === "event") return `event ${question.eventId}`;
  const place = `${question.venue}/${question.account}`;
  if (question.about === "order") return `order ${question.orderId}, ${place}`;
  if (question.about === "position") return `position in ${question.symbol}, ${place}`;
  return `fill ${question.fillId} of ${question.symbol}, ${place}`;
}

/** What a person has typed to look something up. */
export interface LookUp {
  readonly about: Question["about"];
  readonly venue: string;
  readonly account: string;
  readonly symbol: string;
  readonly id: string;
}

/** The fields that a look-up needs. */
export const NEEDED: Readonly<Record<Question["about"], readonly (keyof LookUp)[]>> = {
  fill: ["venue", "account", "symbol", "id"],
  order: ["venue", "account", "id"],
  position: ["venue", "account", "symbol"],
  event: ["id"],
};

/** The question of a look-up; undefined while a field is empty. */
export function questionOf(typed: LookUp): Question | undefined {
  if (NEEDED[typed.about].some((field) => typed[field].trim() === "")) return undefined;
  const [venue, account] = [typed.venue.trim(), typed.account.trim()];
  const [symbol, id] = [typed.symbol.trim(), typed.id.trim()];
  switch (typed.about) {
    case "fill":
      return { about: "fill", venue, account, symbol, fillId: id };
    case "order":
      return { about: "order", venue, account, orderId: id };
    case "position":
      return { about: "position", venue, account, symbol };
    case "event":
      return { about: "event", eventId: id };
  }
}

/** The fields of a question, to change them. */
export function lookUpOf(question: Question | undefined): LookUp {
  const nothing = { about: "fill" as const, venue: "", account: "", symbol: "", id: "" };
  if (!question) return nothing;
  if (question.about === "event") return { ...nothing, about: "event", id: question.eventId };
  if (question.about === "order") return { ...nothing, ...question, id: question.orderId };
  if (question.about === "position") return { ...nothing, ...question };
  return { ...nothing, ...question, id: question.fillId };
}
