import { useState } from "react";

import type { RegimeCalibration } from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import type { CalibrationMap } from "../gen/venuemesh/events/v1/calibrations_pb";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { scoreText } from "../why/enumText";
import { errorsText, mapText, regimeText } from "./reliability";
import { ReliabilityDiagram } from "./ReliabilityDiagram";

const COLUMNS = ["Strategy", "Regime", "Map", "Outcomes", "Brier skill", "ECE / noise"];
const NOTE = "outcomes that the map was not fitted to";

interface CalibrationPanelProps {
  readonly polled: Polled<readonly RegimeCalibration[]>;
  /** Empty: all strategies. */
  readonly strategy: string;
}

/** The maps in force, and the reliability of the chosen one. */
export function CalibrationPanel({ polled, strategy }: CalibrationPanelProps) {
  const [chosenKey, choose] = useState("");
  const rows = (polled.value ?? []).flatMap(({ map, report }) =>
    map && (strategy === "" || map.strategy === strategy) ? [{ map, report }] : [],
  );
  const chosen =
    rows.find(({ map }) => mapKey(map) === chosenKey) ??
    rows.find(({ report }) => report) ??
    rows[0];
  return (
    <Panel title="Calibration" aside={<span className="panel-note">{NOTE}</span>}>
      {chosen ? (
        <div className="calibration">
          <ReliabilityDiagram map={chosen.map} report={chosen.report} />
          <RecordTable columns={COLUMNS}>
            {rows.map(({ map, report }) => (
              <tr
                key={mapKey(map)}
                data-testid="calibration-row"
                data-chosen={map === chosen.map}
                title={map.reason}
              >
                <th scope="row">{map.strategy}</th>
                <td>
                  <button
                    className="link-button"
                    onClick={() => {
                      choose(mapKey(map));
                    }}
                  >
                    {regimeText(map)}
                  </button>
                </td>
                <td>{mapText(map)}</td>
                <td>{formatCount(map.outcomes)}</td>
                <td>{map.brierSkill === undefined ? "not known" : scoreText(map.brierSkill)}</td>
                <td>{errorsText(report)}</td>
              </tr>
            ))}
          </RecordTable>
        </div>
      ) : (
        <EmptyPanel polled={polled} empty="No outcome is known yet: the conviction stays." />
      )}
    </Panel>
  );
}

function mapKey({ strategy, regime, isPool }: CalibrationMap): string {
  return JSON.stringify([strategy, regime, isPool]);
}
