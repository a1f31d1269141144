import type { LimitUse, ListLimitsResponse } from "../gen/venuemesh/inspector/v1/risk_reports_pb";
import type { Polled } from "../state/poll";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import {
  consequenceText,
  filledPart,
  modesText,
  nearnessOf,
  sortedLimits,
  usedText,
} from "./limits";

const COLUMNS = ["Limit", "Scope", "Now", "Limit is", "Used", "Sets"];

/** The limits of the policy, and how much of each is used. */
export function LimitsPanel({ polled }: { readonly polled: Polled<ListLimitsResponse> }) {
  const { value } = polled;
  const rows = value ? sortedLimits(value) : [];
  return (
    <Panel
      title="Limits"
      className="limits"
      aside={value && <span className="panel-note">{formatCount(rows.length)}</span>}
    >
      {rows.length === 0 ? (
        <EmptyPanel polled={polled} empty="The policy sets no limit." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                {COLUMNS.map((name, place) => (
                  <th key={name} scope="col" className={[2, 3].includes(place) ? "number" : ""}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((limit) => (
                <LimitRow key={`${limit.name}/${limit.scope}/${limit.unit}`} limit={limit} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {value && value.waived.length > 0 && (
        <p className="panel-foot" data-testid="waived">
          Expressly not set: {value.waived.join(", ")}
        </p>
      )}
    </Panel>
  );
}

function LimitRow({ limit }: { readonly limit: LimitUse }) {
  const { name, scope, observed, unit, isMinimum, isOfOrders, problem } = limit;
  const nearness = nearnessOf(limit);
  return (
    <tr
      data-testid="limit-row"
      data-limit={name}
      data-scope={scope}
      data-nearness={nearness}
      title={consequenceText(limit)}
    >
      <th scope="row">{name}</th>
      <td>{scope}</td>
      <td className="number">
        {isOfOrders ? (
          <span className="faint">each order</span>
        ) : (
          <Amount
            text={observed === "" ? undefined : observed}
            {...(problem === "" ? {} : { unknown: problem })}
          />
        )}
      </td>
      <td className="number">
        {isMinimum && <span className="faint">at least </span>}
        <Amount text={limit.limit} unit={unit} />
      </td>
      <td>
        {!isOfOrders && (
          <span className="used">
            <span className="used-bar" aria-hidden="true">
              <i style={{ width: `${filledPart(limit) * 100}%` }} />
            </span>
            {nearness === "beyond" ? "reached" : usedText(limit)}
          </span>
        )}
      </td>
      <td className="detail">
        <span>{modesText(limit)}</span>
      </td>
    </tr>
  );
}
