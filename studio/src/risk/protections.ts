import {
  type PositionProtection,
  ProtectionState,
} from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import { OrderState } from "../gen/venuemesh/tradeflow/v1/orders_pb";
import { enumText } from "../why/enumText";
import type { Tone } from "./modes";

const WORDS: Partial<Record<ProtectionState, string>> = {
  [ProtectionState.PROTECTED]: "stop works",
  [ProtectionState.UNCONFIRMED]: "stop not confirmed",
  [ProtectionState.CLOSING]: "is being closed",
  [ProtectionState.UNPROTECTED]: "no stop",
  [ProtectionState.NOTHING_HELD]: "entry not filled",
  [ProtectionState.UNKNOWN]: "not known",
};

const TONES: Partial<Record<ProtectionState, Tone>> = {
  [ProtectionState.PROTECTED]: "good",
  [ProtectionState.UNCONFIRMED]: "warn",
  [ProtectionState.CLOSING]: "warn",
  [ProtectionState.UNPROTECTED]: "bad",
  [ProtectionState.UNKNOWN]: "warn",
};

export function protectionText(state: ProtectionState): string {
  return WORDS[state] ?? (enumText(ProtectionState, state) || "not known");
}

/** Undefined: neither good nor bad. */
export function protectionTone(state: ProtectionState): Tone | undefined {
  return TONES[state];
}

/** How many positions have no stop. */
export function countUnprotected(found: readonly PositionProtection[]): number {
  return found.filter(({ state }) => state === ProtectionState.UNPROTECTED).length;
}

/** The exits with their states: "stop open, take-profit open"; empty without any. */
export function exitsText({ exits }: PositionProtection): string {
  return exits
    .map(({ isStop, isTrailing, state }) => {
      const words = enumText(OrderState, state) || "not confirmed";
      return `${isStop ? "stop" : isTrailing ? "trailing stop" : "take-profit"} ${words}`;
    })
    .join(", ");
}
