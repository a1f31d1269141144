import { TradingMode } from "../gen/venuemesh/events/v1/risk_pb";
import type { GetStateResponse, ModeState } from "../gen/venuemesh/inspector/v1/inspector_pb";
import { enumText } from "../why/enumText";

export type Tone = "good" | "warn" | "bad";

/** The modes that can be set, least strict first, with what they mean. */
export const MODES: readonly (readonly [TradingMode, string])[] = [
  [TradingMode.ACTIVE, "Entries within the limits are approved."],
  [TradingMode.THROTTLED, "Entries are approved at the lower rate of the policy."],
  [TradingMode.STANDING_DOWN, "No entry is approved. Positions and their stops stay."],
  [
    TradingMode.CLOSING_ALL,
    "No entry is approved, and the positions of strategies are closed at market.",
  ],
  [
    TradingMode.HALTED,
    "No entry is approved until a person sets another mode. Positions and their stops stay.",
  ],
];

/** "standing down". */
export function modeText(mode: TradingMode): string {
  return enumText(TradingMode, mode);
}

export function meaningOf(mode: TradingMode): string {
  return MODES.find(([one]) => one === mode)?.[1] ?? "";
}

/** The mode of a field of a form. */
export function modeOfValue(value: string): TradingMode {
  return MODES.find(([one]) => String(one) === value)?.[0] ?? TradingMode.UNSPECIFIED;
}

export function modeTone(mode: TradingMode): Tone {
  if (mode === TradingMode.ACTIVE) return "good";
  return mode === TradingMode.THROTTLED ? "warn" : "bad";
}

/** Who has set a mode: "lena", "rule drawdown_max"; empty if nobody has yet. */
export function setByText({ caller, rule }: ModeState): string {
  if (rule !== "") return `rule ${rule}`;
  return caller;
}

/** The mode of the mesh; undefined before the first answer. */
export function meshMode(state: GetStateResponse | undefined): TradingMode | undefined {
  return state?.modes.find(({ scope }) => scope === "mesh")?.mode;
}

/** The mode of a scope; one without a mode of its own is active. */
export function modeOf(modes: readonly ModeState[], scope: string): TradingMode {
  return modes.find((one) => one.scope === scope)?.mode ?? TradingMode.ACTIVE;
}

/** Where something is: an account, and a strategy if it is of one. */
interface Place {
  readonly venue: string;
  readonly account: string;
  readonly strategy?: string;
}

/** The scopes whose mode can be set: those with a mode, and those of places. The mesh is first. */
export function scopesOf(modes: readonly ModeState[], places: readonly Place[]): readonly string[] {
  const found = new Set(modes.map(({ scope }) => scope));
  for (const { venue, account, strategy = "" } of places) {
    found.add(`venue:${venue}`);
    found.add(`account:${venue}/${account}`);
    if (strategy !== "") found.add(`strategy:${strategy}`);
  }
  found.delete("mesh");
  return ["mesh", ...[...found].sort()];
}

/** "Set venue:okx from halted to active?" */
export function questionText(scope: string, before: TradingMode, after: TradingMode): string {
  return `Set ${scope} from ${modeText(before)} to ${modeText(after)}?`;
}
