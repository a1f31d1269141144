import type { StoredEvent } from "../gen/venuemesh/events/v1/event_pb";
import {
  type FeatureValue,
  PositionAction,
  type RuleScore,
  type SignalRaised,
} from "../gen/venuemesh/events/v1/signals_pb";
import type { OrderRequested } from "../gen/venuemesh/events/v1/risk_pb";
import { Operation } from "../gen/venuemesh/tradeflow/v1/signed_pb";
import { SideMark } from "../orders/OrderCells";
import { orderText } from "../orders/orderText";
import { formatDateTime } from "../ui/format";
import { shortText } from "./bytes";
import { enumText, scoreText } from "./enumText";
import { EventCard } from "./EventCard";
import { Facts } from "./Facts";
import { ScoreBar } from "./ScoreBar";

interface SignalCardProps {
  readonly id: string;
  readonly isChosen: boolean;
  readonly stored: StoredEvent;
  readonly signal: SignalRaised;
}

/** What a strategy asked for, and what each of its rules said. */
export function SignalCard({ id, isChosen, stored, signal }: SignalCardProps) {
  return (
    <EventCard {...{ id, isChosen, stored }} title={`Signal of ${signal.strategy}`}>
      <SignalContent signal={signal} />
    </EventCard>
  );
}

/** What a strategy asked for, and what each of its rules said, without the event. */
export function SignalContent({ signal }: Pick<SignalCardProps, "signal">) {
  const { strategyVersion, venue, account, symbol, side, action } = signal;
  const { bar, request } = signal;
  const sizes = [
    request?.notional ? `up to ${request.notional} of the quote asset` : "",
    request?.riskFraction ? `risk ${request.riskFraction} of equity` : "",
    request?.stopDistance ? `stop ${request.stopDistance} away` : "",
    request?.targetDistance ? `target ${request.targetDistance} away` : "",
    request?.reduceFraction ? `${request.reduceFraction} of the position` : "",
  ];
  return (
    <>
      <Facts
        facts={[
          [
            "Wants",
            <span key="wants">
              {enumText(PositionAction, action)} <SideMark side={side} /> {symbol}
            </span>,
          ],
          ["Where", `${venue}/${account}`],
          ["Conviction", scoreText(signal.conviction)],
          ["Score", scoreText(signal.score)],
          ["Regime", signal.regime],
          ["Size and exits", sizes.filter((part) => part !== "").join(", ")],
          ["Bar", bar ? barText(bar) : ""],
          ["Expires", timeText(signal.expiresTimeNs)],
          [
            "Version",
            <code key="version" title={strategyVersion}>
              {shortText(strategyVersion)}
            </code>,
          ],
        ]}
      />
      <RuleTable rules={signal.rules} />
    </>
  );
}

function RuleTable({ rules }: { readonly rules: readonly RuleScore[] }) {
  if (rules.length === 0) return <p className="faint">The signal names no rule.</p>;
  return (
    <table className="why-table">
      <thead>
        <tr>
          <th scope="col">Rule</th>
          <th scope="col">Rests on</th>
          <th scope="col" className="number">
            Weight
          </th>
          <th scope="col" className="number">
            Score
          </th>
        </tr>
      </thead>
      <tbody>
        {rules.map(({ rule, weight, score, isVeto, values }) => (
          <tr key={rule} data-testid="rule-row">
            <td>
              {rule}
              {isVeto && <small className="failed"> veto</small>}
            </td>
            <td className="rests">
              {values.map((value) => (
                <span key={value.expression}>{valueText(value)}</span>
              ))}
            </td>
            <td className="number">{scoreText(weight)}</td>
            <td className="number">
              <ScoreBar score={score} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface RequestCardProps extends Omit<SignalCardProps, "signal"> {
  readonly request: OrderRequested;
}

/** What a person, or a program with a token, asked for. */
export function RequestCard({ id, isChosen, stored, request }: RequestCardProps) {
  const { caller, operation, content, reason, requestId, targetClientOrderId } = request;
  return (
    <EventCard {...{ id, isChosen, stored }} title={`Request of ${caller}`}>
      {content && <p className="why-sentence">{orderText(content, "")}</p>}
      <Facts
        facts={[
          ["Asked for", enumText(Operation, operation)],
          ["Reason", reason === "" ? <em className="unknown">none given</em> : reason],
          ["Request", requestId],
          ["Order", targetClientOrderId],
        ]}
      />
    </EventCard>
  );
}

function valueText({ expression, value }: FeatureValue): string {
  return `${expression} = ${value === undefined ? "not known yet" : scoreText(value)}`;
}

function barText(bar: NonNullable<SignalRaised["bar"]>): string {
  const { interval, openTimeNs, open, high, low, close } = bar;
  return `${interval} from ${formatDateTime(openTimeNs)}: O ${open} H ${high} L ${low} C ${close}`;
}

function timeText(timeNs: bigint): string {
  return timeNs === 0n ? "" : `${formatDateTime(timeNs)} UTC`;
}
