import type { GetEquityHistoryResponse } from "../gen/venuemesh/ledger/v1/equity_pb";
import type { Profit } from "../gen/venuemesh/ledger/v1/ledger_pb";
import { type CapitalRoute, go } from "../route";
import type { Polled } from "../state/poll";
import { Amount, type AmountProps } from "../ui/Amount";
import { sumText } from "../ui/decimal";
import { formatCount } from "../ui/format";
import { Stat } from "../ui/Stat";
import { assetsOf } from "./assets";
import { lacksOpening, type LedgerBalances, scopesOf } from "./ledgerBalances";
import { placeText } from "./ledgerText";
import { addProfits, unpricedText } from "./profits";

interface CapitalBarProps {
  readonly route: CapitalRoute;
  readonly known: LedgerBalances;
  readonly profits: Polled<readonly Profit[]>;
  readonly history: Polled<GetEquityHistoryResponse>;
  readonly asset: string;
  readonly onAsset: (asset: string) => void;
}

/** Of which accounts and in which asset, and the sums. */
export function CapitalBar({ route, known, profits, history, asset, onAsset }: CapitalBarProps) {
  const scopes = scopesOf(known);
  const chosen = route.venue === "" ? "" : placeText(route);
  return (
    <div className="instrument-bar">
      <select
        className="venue-select"
        data-testid="capital-scope"
        aria-label="Accounts"
        value={chosen}
        onChange={(event) => {
          const scope = scopes.find((one) => placeText(one) === event.target.value);
          go({ page: "capital", venue: "", account: "", ...scope });
        }}
      >
        <option value="">all accounts</option>
        {chosen !== "" && !scopes.some((one) => placeText(one) === chosen) && (
          <option value={chosen}>{chosen} (nothing booked)</option>
        )}
        {scopes.map((scope) => (
          <option key={placeText(scope)}>{placeText(scope)}</option>
        ))}
      </select>
      <select
        className="venue-select"
        data-testid="capital-asset"
        aria-label="Asset"
        value={asset}
        onChange={(event) => {
          onAsset(event.target.value);
        }}
      >
        {assetsOf(profits.value, history.value).map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
      <CapitalSums {...{ route, known, profits, history, asset }} />
      <div className="data-stats capital-groups">
        <Stat
          label="Groups booked"
          value={formatCount(known.groupNumber)}
          title="Groups of postings since the first entry, without holes"
          valueId="groups-booked"
        />
      </div>
    </div>
  );
}

type CapitalSumsProps = Omit<CapitalBarProps, "onAsset">;

function CapitalSums({ route, known, profits, history, asset }: CapitalSumsProps) {
  const own = profits.value?.filter((profit) => profit.asset === asset);
  const line = history.value?.histories.find((one) => one.asset === asset);
  const atCost = line?.points.at(-1)?.equityAtCost;
  if (!own || atCost === undefined) return null;
  const sums = addProfits(own);
  const unknown = unpricedText(sums);
  const { unrealized } = sums;
  const equity = unrealized === undefined ? undefined : sumText([atCost, unrealized]);
  const counts = lacksOpening(known, route, asset);
  const [mark, note] = counts
    ? [" *", ". Since the first entry: no opening balance is booked"]
    : ["", ""];
  const stats: [string, AmountProps, string][] = [
    [`Equity${mark}`, { text: equity, valueId: "equity" }, `At cost, and unrealised profit${note}`],
    [`At cost${mark}`, { text: atCost }, `Cash, and what open spot positions have cost${note}`],
    ["Net profit", { text: sums.net, isChange: true, valueId: "net-profit" }, "All parts together"],
    ["Realised", { text: sums.realized, isChange: true }, "Without fees and funding"],
    ["Unrealised", { text: unrealized, isChange: true }, "At the middle of the best prices"],
    ["Fees", { text: sums.fees, isChange: true }, "Negative: paid"],
    ["Funding", { text: sums.funding, isChange: true }, "Funding and interest. Negative: paid"],
  ];
  return (
    <div className="data-stats capital-sums">
      {stats.map(([label, amount, title]) => (
        <div key={label} className="stat" title={title}>
          <span className="stat-label">{label}</span>
          <span className="stat-value">
            <Amount {...amount} {...(unknown === "" ? {} : { unknown })} />
          </span>
        </div>
      ))}
    </div>
  );
}
