import { scoreText } from "./enumText";

/** A score from -1 to 1 as a bar from the middle, and as text. */
export function ScoreBar({ score }: { readonly score: number | undefined }) {
  if (score === undefined) return <em className="unknown">abstains</em>;
  const width = `${Math.min(1, Math.abs(score)) * 50}%`;
  const side = score < 0 ? { right: "50%", width } : { left: "50%", width };
  return (
    <span className="score">
      <span className={`score-bar ${score < 0 ? "down" : "up"}`} aria-hidden="true">
        <i style={side} />
      </span>
      {scoreText(score)}
    </span>
  );
}
