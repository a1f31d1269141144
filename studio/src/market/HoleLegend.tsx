import { type HoleLook, type HoleSpan, LOOK_WORDS } from "../record/holes";
import { formatRoute, type MarketRoute } from "../route";
import { formatCount } from "../ui/format";
import { countLooks } from "./chartHoles";

const LOOKS: readonly HoleLook[] = ["open", "in_repair", "unavailable", "filled"];

interface HoleLegendProps {
  readonly route: MarketRoute;
  readonly holes: readonly HoleSpan[];
}

/** What the shades on the chart mean and how many there are; leads to all of them. */
export function HoleLegend({ route: { venue, symbol }, holes }: HoleLegendProps) {
  const counts = countLooks(holes);
  const present = LOOKS.filter((look) => counts[look] > 0);
  if (present.length === 0) return null;
  return (
    <a
      className="hole-legend"
      href={formatRoute({ page: "data", venue, symbol })}
      title="Times in which trades are, may be or were missing. Leads to the data of the instrument"
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
