import { type Check, CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { enumText } from "./enumText";
import { UnitValue } from "./UnitValue";

const AFTERWARDS = "Afterwards";
const COLUMNS = ["Check", "Observed", AFTERWARDS, "Limit", "Result"];

interface ChecksTableProps {
  /** With the name of their group, if they have groups. */
  readonly groups: readonly (readonly [name: string, checks: readonly Check[], note: string])[];
}

/** Values that were compared with limits. */
export function ChecksTable({ groups }: ChecksTableProps) {
  const isProjected = groups.some(([, checks]) => checks.some(({ projected }) => projected !== ""));
  const columns = COLUMNS.filter((name) => isProjected || name !== AFTERWARDS);
  return (
    <table className="why-table checks">
      <thead>
        <tr>
          {columns.map((name, place) => (
            <th
              key={name}
              scope="col"
              className={place === 0 || place === columns.length - 1 ? "" : "number"}
            >
              {name}
            </th>
          ))}
        </tr>
      </thead>
      {groups.map(([name, checks, note]) => (
        <tbody key={name}>
          {name !== "" && (
            <tr className="group">
              <th scope="rowgroup" colSpan={columns.length}>
                {name} {note !== "" && <span className="faint">{note}</span>}
              </th>
            </tr>
          )}
          {checks.map((check, place) => (
            <CheckRow key={`${check.name}/${place}`} {...{ check, isProjected }} />
          ))}
        </tbody>
      ))}
    </table>
  );
}

interface CheckRowProps {
  readonly check: Check;
  /** Whether a check of the table has a value after the order. */
  readonly isProjected: boolean;
}

function CheckRow({ check, isProjected }: CheckRowProps) {
  const { name, observed, projected, limit, unit, result, detail } = check;
  const tone = CheckResult[result].toLowerCase();
  return (
    <tr data-testid="check-row" data-result={tone} title={detail}>
      <td>
        {name}
        {detail !== "" && <small> {detail}</small>}
      </td>
      <td className="number">
        {observed === "" ? (
          <em className="unknown">not known</em>
        ) : (
          <UnitValue value={observed} unit={unit} />
        )}
      </td>
      {isProjected && (
        <td className="number">
          <UnitValue value={projected} unit={unit} />
        </td>
      )}
      <td className="number">
        <UnitValue value={limit} unit={unit} withUnit />
      </td>
      <td className={`check-result ${tone}`}>{enumText(CheckResult, result) || "unspecified"}</td>
    </tr>
  );
}
