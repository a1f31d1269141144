import { type Chain, type ChainEdge, type ChainNode, type Stage, STAGES } from "./chain";

/** Boxes of one column; more are counted. */
export const NODES_MAX = 12;
const HEIGHT_PX = 64;
const STEP_PX = 78;
/** Width of a column in the units of the arrows, and of the space on each side of a box. */
const COLUMN = 100;
const MARGIN = 9;

export interface PlacedNode {
  readonly node: ChainNode;
  /** Pixels from the top. */
  readonly top: number;
}

export interface PlacedColumn {
  readonly stage: Stage;
  readonly nodes: readonly PlacedNode[];
  /** How many boxes are left out. */
  readonly hidden: number;
}

export interface PlacedEdge extends ChainEdge {
  /** An SVG path; across in units of a hundredth of a column, down in pixels. */
  readonly path: string;
}

export interface ChainLayout {
  readonly columns: readonly PlacedColumn[];
  readonly edges: readonly PlacedEdge[];
  /** Pixels. */
  readonly height: number;
}

export const NODE_HEIGHT_PX = HEIGHT_PX;
export const WIDTH = COLUMN * STAGES.length;

/** Places the boxes of a chain: a column for each stage, beside what they follow from. */
export function layoutOf({ nodes, edges }: Chain): ChainLayout {
  const rows = new Map<string, number>();
  const columns = STAGES.map((stage) => {
    const own = nodes.filter((node) => node.stage === stage);
    const sorted = sortBeside(own, edges, rows).slice(0, NODES_MAX);
    sorted.forEach(({ key }, row) => rows.set(key, row));
    return { stage, own, sorted };
  });
  const height = Math.max(1, ...columns.map(({ sorted }) => sorted.length)) * STEP_PX;
  const places = new Map<string, { readonly column: number; readonly top: number }>();
  const placed = columns.map(({ stage, own, sorted }, column) => {
    const first = (height - sorted.length * STEP_PX + STEP_PX - HEIGHT_PX) / 2;
    const inPlace = sorted.map((node, row) => ({ node, top: first + row * STEP_PX }));
    for (const { node, top } of inPlace) places.set(node.key, { column, top });
    return { stage, nodes: inPlace, hidden: own.length - sorted.length };
  });
  const drawn = edges.flatMap((edge) => {
    const [from, to] = [places.get(edge.from), places.get(edge.to)];
    return from && to ? [{ ...edge, path: pathOf(from, to) }] : [];
  });
  return { columns: placed, edges: drawn, height };
}

/** Boxes in the order of those that they follow from, which are placed already. */
function sortBeside(
  nodes: readonly ChainNode[],
  edges: readonly ChainEdge[],
  rows: ReadonlyMap<string, number>,
): readonly ChainNode[] {
  const wish = ({ key }: ChainNode) => {
    const causes = edges.flatMap(({ from, to }) => (to === key ? [rows.get(from) ?? 0] : []));
    return causes.length === 0 ? 0 : causes.reduce((left, right) => left + right) / causes.length;
  };
  return [...nodes].sort((left, right) => wish(left) - wish(right));
}

interface PlaceOf {
  readonly column: number;
  readonly top: number;
}

function pathOf(from: PlaceOf, to: PlaceOf): string {
  const [startY, endY] = [from.top + HEIGHT_PX / 2, to.top + HEIGHT_PX / 2];
  const startX = (from.column + 1) * COLUMN - MARGIN;
  const endX = to.column * COLUMN + MARGIN;
  if (to.column <= from.column) {
    // In one column, or backwards: along the left side.
    const x = Math.min(from.column, to.column) * COLUMN + MARGIN;
    return `M${x} ${startY}C${x - MARGIN} ${startY} ${x - MARGIN} ${endY} ${x} ${endY}`;
  }
  const middle = endX - MARGIN;
  return `M${startX} ${startY}C${middle} ${startY} ${middle} ${endY} ${endX} ${endY}`;
}

/** How long after its causes a box was stored, ms; undefined if no cause is in the picture. */
export function delayMs(node: ChainNode, { nodes, edges }: Chain): number | undefined {
  const own = firstStoredNs(node);
  const causes = edges
    .filter(({ to }) => to === node.key)
    .flatMap(({ from }) => nodes.filter(({ key }) => key === from))
    .map(firstStoredNs)
    .filter((timeNs) => timeNs > 0n);
  if (own === 0n || causes.length === 0) return undefined;
  const newest = causes.reduce((left, right) => (left > right ? left : right));
  return Number(own - newest) / 1e6;
}

/** When the first event of a box was stored, ns. 0: it has none. */
function firstStoredNs({ stored, order }: ChainNode): bigint {
  return (order?.states[0] ?? stored)?.storedTimeNs ?? 0n;
}
