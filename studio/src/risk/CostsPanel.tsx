import { useMemo, useState } from "react";

import type { OrderCostsGroup } from "../gen/venuemesh/history/v1/order_costs_pb";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { Amount } from "../ui/Amount";
import { Choice } from "../ui/Choice";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import {
  COST_GROUP_COLUMNS,
  type CostsGrouping,
  GROUPINGS,
  groupMeans,
  groupName,
  pollCostGroups,
} from "./costGroups";

const NOTE = "means in bps; a cost is above 0, a mark-out above 0 is a gain";

/** What orders have cost, by strategy or by the hour of the day. Asked for while it is shown. */
export function CostsPanel() {
  const [grouping, setGrouping] = useState<CostsGrouping>("strategy");
  const poll = useMemo(() => pollCostGroups(grouping), [grouping]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const groups = polled.value?.groups ?? [];
  return (
    <Panel
      title="Costs of orders"
      aside={
        <>
          <span className="panel-note">{NOTE}</span>
          <Choice label="Add up by" options={GROUPINGS} chosen={grouping} onChoose={setGrouping} />
        </>
      }
    >
      {groups.length === 0 ? (
        <EmptyPanel polled={polled} empty="No orders yet." />
      ) : (
        <div className="table-scroll">
          <table className="record-table">
            <thead>
              <tr>
                <th scope="col">{grouping === "hour" ? "Hour" : "Strategy"}</th>
                <th scope="col" className="number">
                  Orders
                </th>
                {COST_GROUP_COLUMNS.map((name) => (
                  <th key={name} scope="col" className="number">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {groups.map((group) => {
                const name = groupName(group, grouping);
                return <CostsRow key={`${name} ${group.notionalAsset}`} {...{ group, name }} />;
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function CostsRow({ group, name }: { readonly group: OrderCostsGroup; readonly name: string }) {
  return (
    <tr data-testid="costs-row">
      <th scope="row">
        {name} <span className="faint">{group.notionalAsset}</span>
      </th>
      <td className="number">{formatCount(group.orders)}</td>
      {groupMeans(group).map((text, place) => (
        <td key={COST_GROUP_COLUMNS[place]} className="number">
          <Amount text={text} unknown="not known" />
        </td>
      ))}
    </tr>
  );
}
