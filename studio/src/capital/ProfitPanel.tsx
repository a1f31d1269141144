import type { Profit } from "../gen/venuemesh/ledger/v1/ledger_pb";
import type { Polled } from "../state/poll";
import { formatRoute } from "../route";
import { Amount } from "../ui/Amount";
import { Choice } from "../ui/Choice";
import { EmptyPanel } from "../ui/EmptyPanel";
import { Panel } from "../ui/Panel";
import { addProfits, type Grouping, GROUPINGS, ownerText, unpricedText } from "./profits";

const COLUMNS = ["Asset", "Realised", "Unrealised", "Fees", "Funding", "Net"];
const OPTIONS = GROUPINGS.map((grouping) => [grouping, `by ${grouping}`] as const);

interface ProfitPanelProps {
  readonly profits: Polled<readonly Profit[]>;
  readonly grouping: Grouping;
  readonly onGrouping: (grouping: Grouping) => void;
}

/** Profit and its parts, by strategy, account or position. */
export function ProfitPanel({ profits, grouping, onGrouping }: ProfitPanelProps) {
  const rows = profits.value ?? [];
  return (
    <Panel
      title="Profit"
      className="profits"
      aside={<Choice label="Grouping" options={OPTIONS} chosen={grouping} onChoose={onGrouping} />}
    >
      {rows.length === 0 ? (
        <EmptyPanel polled={profits} empty="No fill, fee or funding is booked yet." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                <th scope="col">{grouping === "position" ? "Position" : `By ${grouping}`}</th>
                {COLUMNS.map((name, place) => (
                  <th key={name} scope="col" className={place === 0 ? "" : "number"}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((profit) => (
                <ProfitRow
                  key={JSON.stringify([ownerText(grouping, profit), profit.asset])}
                  {...{ profit, grouping }}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

interface ProfitRowProps {
  readonly profit: Profit;
  readonly grouping: Grouping;
}

function ProfitRow({ profit, grouping }: ProfitRowProps) {
  const parts = addProfits([profit]);
  const unknown = unpricedText(parts);
  const amounts = [parts.realized, parts.unrealized, parts.fees, parts.funding, parts.net];
  const owner = ownerText(grouping, profit);
  const { venue, account, symbol } = profit;
  return (
    <tr data-testid="profit-row" data-owner={owner}>
      <th scope="row">
        {grouping === "position" && symbol !== "" ? (
          <a
            className="why-link"
            href={formatRoute({
              page: "why",
              question: { about: "position", venue, account, symbol },
            })}
            title="Why: the chains of its newest fills"
          >
            {owner}
          </a>
        ) : (
          owner
        )}
      </th>
      <td>{profit.asset}</td>
      {amounts.map((text, place) => (
        <td key={COLUMNS[place + 1]} className="number">
          <Amount text={text} isChange {...(unknown === "" ? {} : { unknown })} />
        </td>
      ))}
    </tr>
  );
}
