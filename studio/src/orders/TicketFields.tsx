import { useId } from "react";

import { type Instrument, Side } from "../gen/venuemesh/common/v1/types_pb";
import { notionalText, sizeUnit } from "../instrument/sizes";
import {
  canBePostOnly,
  isPriced,
  isStop,
  optionalFields,
  type Problems,
  type TextField,
  type Ticket,
  wantedFields,
} from "./ticket";
import { ORDER_TYPES, sideLabel, TIMES_IN_FORCE } from "./labels";

const SIDES = [Side.BUY, Side.SELL] as const;

interface TicketFieldsProps {
  readonly ticket: Ticket;
  readonly instrument: Instrument | undefined;
  readonly problems: Problems;
  readonly onChange: (change: Partial<Ticket>) => void;
}

/** The fields of the order form. Fields that do not apply to the order type are hidden. */
export function TicketFields({ ticket, instrument, problems, onChange }: TicketFieldsProps) {
  const wanted = new Set<TextField>([...wantedFields(ticket), ...optionalFields(ticket)]);
  const text = (field: TextField, label: string, hint = "") =>
    wanted.has(field) && (
      <AmountField
        {...{ field, label, hint }}
        problem={problems[field]}
        value={ticket[field]}
        onChange={(value) => {
          onChange({ [field]: value });
        }}
      />
    );
  const quote = instrument?.quote ?? "";
  const tick = hintOf(["tick", instrument?.priceTick]);
  return (
    <>
      <SideChoice {...{ ticket, onChange }} />
      <Choice
        id="type"
        label="Type"
        value={ticket.type}
        options={ORDER_TYPES}
        onChange={(type) => {
          onChange({ type });
        }}
      />
      {text("size", `Size, ${sizeUnit(instrument)}`, sizeHint(ticket, instrument))}
      {text("price", `Price, ${quote}`, tick)}
      {text("stopPrice", `Stop price, ${quote}`, tick)}
      {text("trailingOffset", `Trailing offset, ${quote}`)}
      {isPriced(ticket) && (
        <Choice
          id="time"
          label="Time in force"
          value={ticket.timeInForce}
          options={TIMES_IN_FORCE}
          onChange={(timeInForce) => {
            onChange({ timeInForce });
          }}
        />
      )}
      {text("minutes", "Expires after, minutes")}
      {text("profit", `Take profit, ${quote}`, "optional: limit order")}
      {text("loss", `Stop loss, ${quote}`, "optional: stop order")}
      {text("alternative", `OCO price, ${quote}`, alternativeHint(ticket))}
      <Flags {...{ ticket, onChange }} />
    </>
  );
}

function SideChoice({ ticket, onChange }: Pick<TicketFieldsProps, "ticket" | "onChange">) {
  return (
    <div className="choice ticket-sides" role="group" aria-label="Side">
      {SIDES.map((side) => (
        <button
          key={side}
          type="button"
          data-testid={`ticket-${Side[side].toLowerCase()}`}
          data-side={Side[side].toLowerCase()}
          aria-pressed={ticket.side === side}
          onClick={() => {
            onChange({ side });
          }}
        >
          {sideLabel(side)}
        </button>
      ))}
    </div>
  );
}

function Flags({ ticket, onChange }: Pick<TicketFieldsProps, "ticket" | "onChange">) {
  const isMaker = canBePostOnly(ticket);
  return (
    <div className="ticket-flags">
      <label className="filter-box">
        <input
          type="checkbox"
          data-testid="ticket-post-only"
          disabled={!isMaker}
          checked={isMaker && ticket.postOnly}
          onChange={(event) => {
            onChange({ postOnly: event.target.checked });
          }}
        />
        post-only
      </label>
      <label className="filter-box">
        <input
          type="checkbox"
          data-testid="ticket-reduce-only"
          checked={ticket.reduceOnly}
          onChange={(event) => {
            onChange({ reduceOnly: event.target.checked });
          }}
        />
        reduce-only
      </label>
    </div>
  );
}

interface AmountFieldProps {
  readonly field: TextField;
  readonly label: string;
  readonly value: string;
  readonly hint: string;
  readonly problem: string | undefined;
  readonly onChange: (value: string) => void;
}

function AmountField({ field, label, value, hint, problem, onChange }: AmountFieldProps) {
  const id = useId();
  return (
    <div className="ticket-field">
      <label htmlFor={id}>{label.replace(/, $/, "")}</label>
      <input
        id={id}
        data-testid={`ticket-${field}`}
        // Text, not a number: every digit counts.
        inputMode="decimal"
        autoComplete="off"
        spellCheck={false}
        value={value}
        aria-invalid={problem !== undefined}
        aria-describedby={`${id}-note`}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
      <small id={`${id}-note`} className={problem === undefined ? "" : "failed"}>
        {problem ?? hint}
      </small>
    </div>
  );
}

interface ChoiceProps<Value extends number> {
  readonly id: string;
  readonly label: string;
  readonly value: Value;
  readonly options: readonly (readonly [Value, string])[];
  readonly onChange: (value: Value) => void;
}

function Choice<Value extends number>(props: ChoiceProps<Value>) {
  const { label, value, options, onChange } = props;
  const id = useId();
  return (
    <div className="ticket-field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        data-testid={`ticket-${props.id}`}
        value={value}
        onChange={(event) => {
          const chosen = options.find(([each]) => String(each) === event.target.value);
          if (chosen) onChange(chosen[0]);
        }}
      >
        {options.map(([each, text]) => (
          <option key={each} value={each}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

function alternativeHint(ticket: Ticket): string {
  return `optional: alternative ${isStop(ticket) ? "limit order" : "stop"}`;
}

/** Step and minimum, and the notional at the limit price, or else at the stop price. */
function sizeHint(ticket: Ticket, instrument: Instrument | undefined): string {
  const wanted = wantedFields(ticket);
  const field = (["price", "stopPrice"] as const).find((each) => wanted.includes(each));
  const price = field ? ticket[field] : "";
  return hintOf(
    ["step", instrument?.sizeStep],
    ["minimum", instrument?.sizeMin],
    ["notional about", notionalText(instrument, ticket.size.trim(), price.trim())],
  );
}

function hintOf(...parts: readonly (readonly [string, string | undefined])[]): string {
  return parts.flatMap(([name, value]) => (value ? [`${name} ${value}`] : [])).join(", ");
}
