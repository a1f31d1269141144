import { type HoleLook, type HoleSpan, LOOK_WORDS } from "../record/holes";
import { formatRoute, type MarketRoute } from "../route";
import { formatCount } from "../ui/format";
import { countLooks } from "./chartHoles";

const LOOKS: readonly HoleLook[] = ["open", "in_repair", "unavailable", "filled"];

interface HoleLegendProps {
  readonly route: MarketRoute;
  readonly holes: readonly HoleSpan[];
}

/** Legend and number of the chart's holes, linked to the data page. */
export function HoleLegend({ route: { venue, symbol }, holes }: HoleLegendProps) {
  const counts = countLooks(holes);
  const present = LOOKS.filter((look) => counts[look] > 0);
  if (present.length === 0) return null;
  return (
    <a
      className="hole-legend"
      href={formatRoute({ page: "data", venue, symbol })}
      title="Times with missing trades. Click to open the data page of the instrument."
    >
      holes
      {present.map((look) => (
        <span key={look} data-testid={`holes-${look}`}>
          <i className={`hole-mark ${look}`} aria-hidden="true" />
          {formatCount(counts[look])} {LOOK_WORDS[look]}
        </span>
      ))}
    </a>
  );
}
