import { formatMillis, formatTime } from "../ui/format";
import type { Chain, ChainNode, Stage } from "./chain";
import { delayMs, layoutOf, NODE_HEIGHT_PX, WIDTH } from "./chainLayout";
import { nodeText } from "./payloads";

const TITLES: Record<Stage, string> = {
  signal: "Signal or request",
  decision: "Decision",
  verdict: "Verdict",
  order: "Orders",
  fill: "Fills",
  posting: "Postings",
};

interface ChainPictureProps {
  readonly chain: Chain;
  readonly chosen: string;
  readonly onChoose: (key: string) => void;
}

/** A chain from left to right: what happened, and what follows from what. */
export function ChainPicture({ chain, chosen, onChoose }: ChainPictureProps) {
  const { columns, edges, height } = layoutOf(chain);
  return (
    <div className="picture" data-testid="chain-picture">
      <ol className="picture-stages">
        {columns.map(({ stage, nodes, hidden }) => (
          <li key={stage} data-empty={nodes.length === 0}>
            {TITLES[stage]}
            {nodes.length + hidden > 1 && <small> {nodes.length + hidden}</small>}
          </li>
        ))}
      </ol>
      <div className="picture-field" style={{ height }}>
        <svg viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" aria-hidden="true">
          {edges.map(({ from, to, path }) => (
            <path key={`${from}>${to}`} data-lit={from === chosen || to === chosen} d={path} />
          ))}
        </svg>
        {columns.map(({ stage, nodes, hidden }, column) => (
          <div key={stage} className="picture-column" style={{ left: `${(column * 100) / 6}%` }}>
            {nodes.length === 0 && <p className="picture-none">none stored</p>}
            {nodes.map(({ node, top }) => (
              <Box
                key={node.key}
                {...{ node, chain, top }}
                isChosen={node.key === chosen}
                onChoose={onChoose}
              />
            ))}
            {hidden > 0 && <p className="picture-hidden">and {hidden} more, listed below</p>}
          </div>
        ))}
      </div>
    </div>
  );
}

interface BoxProps {
  readonly node: ChainNode;
  readonly chain: Chain;
  readonly top: number;
  readonly isChosen: boolean;
  readonly onChoose: (key: string) => void;
}

function Box({ node, chain, top, isChosen, onChoose }: BoxProps) {
  const { title, fact, tone } = nodeText(node);
  const timeNs = node.stored?.event?.timeNs;
  const delay = delayMs(node, chain);
  return (
    <button
      className="box"
      data-testid={`box-${node.stage}`}
      data-tone={tone}
      data-subject={node.isSubject}
      aria-pressed={isChosen}
      style={{ top, height: NODE_HEIGHT_PX }}
      title={`${title}\n${fact}`}
      onClick={() => {
        onChoose(node.key);
      }}
    >
      <strong>{title}</strong>
      <span>{fact}</span>
      <small>
        <time>{timeNs === undefined ? "no time" : formatTime(timeNs)}</time>
        {delay !== undefined && delay >= 0 && (
          <em title="After its cause, by the times at which both were stored">
            +{formatMillis(delay)}
          </em>
        )}
      </small>
    </button>
  );
}
