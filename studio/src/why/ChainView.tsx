import { useState } from "react";

import type { Chain, ChainNode } from "./chain";
import { ChainPicture } from "./ChainPicture";
import { DecisionCard } from "./DecisionCard";
import { cardId } from "./EventCard";
import { FillsCard } from "./FillsCard";
import { OrderCard } from "./OrderCard";
import { OtherCard } from "./OtherCard";
import { isKnownKind } from "./payloads";
import { PostingsCard } from "./PostingsCard";
import { RequestCard, SignalCard } from "./SignalCard";
import { VerdictCard } from "./VerdictCard";

/** Cards on the page; the boxes of the picture have a bound too. */
const CARDS_MAX = 60;

/** One chain: its picture, and the facts of each of its events. */
export function ChainView({ chain }: { readonly chain: Chain }) {
  const subject = chain.nodes.find(({ isSubject }) => isSubject)?.key ?? "";
  const [picked, pick] = useState("");
  const chosen = chain.nodes.some(({ key }) => key === picked) ? picked : subject;
  const onChoose = (key: string) => {
    pick(key);
    const stage = chain.nodes.find((node) => node.key === key)?.stage;
    const card = stage === "fill" ? "fills" : stage === "posting" ? "postings" : key;
    const found = document.getElementById(cardId(key)) ?? document.getElementById(cardId(card));
    found?.scrollIntoView({ behavior: "smooth", block: "nearest" });
  };
  const ordered = [...chain.nodes].sort((left, right) => rank(left) - rank(right));
  const first = ordered.filter(({ stage }) => stage !== "fill" && stage !== "posting");
  const others = ordered.filter(
    ({ stage, stored }) =>
      (stage === "fill" || stage === "posting") && stored?.event && !isKnownKind(stored.event),
  );
  return (
    <>
      <ChainPicture {...{ chain, chosen, onChoose }} />
      <div className="why-cards">
        {first.slice(0, CARDS_MAX).map((node) => (
          <Card key={node.key} node={node} isChosen={node.key === chosen} />
        ))}
        <FillsCard nodes={chain.nodes} chosen={chosen} />
        <PostingsCard nodes={chain.nodes} chosen={chosen} />
        {others.slice(0, CARDS_MAX).map((node) => (
          <Card key={node.key} node={node} isChosen={node.key === chosen} />
        ))}
      </div>
    </>
  );
}

function rank({ stage }: ChainNode): number {
  return ["signal", "decision", "verdict", "order", "fill", "posting"].indexOf(stage);
}

interface CardProps {
  readonly node: ChainNode;
  readonly isChosen: boolean;
}

function Card({ node, isChosen }: CardProps) {
  const { key: id, stored, order } = node;
  if (order) return <OrderCard {...{ id, isChosen }} story={order} />;
  if (!stored?.event) return null;
  const { payload } = stored.event;
  const shown = { id, isChosen, stored };
  switch (payload.case) {
    case "signalRaised":
      return <SignalCard {...shown} signal={payload.value} />;
    case "orderRequested":
      return <RequestCard {...shown} request={payload.value} />;
    case "decisionMade":
      return <DecisionCard {...shown} decision={payload.value} />;
    case "verdictGiven":
      return <VerdictCard {...shown} given={payload.value} />;
    default:
      return <OtherCard {...shown} />;
  }
}
