import type { CalibrationMap, CalibrationReport } from "../gen/venuemesh/events/v1/calibrations_pb";
import { binPoints, binText, calibrationErrorText, regimeText } from "./reliability";

interface ReliabilityDiagramProps {
  readonly map: CalibrationMap;
  /** Undefined: no map was chosen yet. */
  readonly report: CalibrationReport | undefined;
}

/**
 * The win rate over the probability. A true probability is on the diagonal; the bar of each bin is
 * what chance alone makes of it.
 */
export function ReliabilityDiagram({ map, report }: ReliabilityDiagramProps) {
  if (!report) return <p className="empty">{map.reason}</p>;
  return (
    <figure className="reliability">
      <svg viewBox="-1 -1 102 102" role="img" aria-label={`Reliability, ${regimeText(map)}`}>
        <path className="axis" d="M0 0V100H100" />
        <path className="diagonal" d="M0 100L100 0" />
        {binPoints(report).map((point) => {
          const x = point.probability * 100;
          return (
            <g key={x} data-testid="reliability-bin" data-noise={point.isNoise}>
              <title>{binText(point)}</title>
              <path
                className="noise"
                d={`M${x} ${100 - point.low * 100}V${100 - point.high * 100}`}
              />
              <circle cx={x} cy={100 - point.winRate * 100} r="2.2" />
            </g>
          );
        })}
      </svg>
      <figcaption>
        <span>
          {map.strategy}, {regimeText(map)}: won, over probability
        </span>
        <span>{calibrationErrorText(report)}</span>
      </figcaption>
    </figure>
  );
}
