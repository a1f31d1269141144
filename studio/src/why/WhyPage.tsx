import { useMemo, useState } from "react";

import { failureText } from "../api/failure";
import { audit } from "../api/transport";
import type { WhyResponse } from "../gen/venuemesh/audit/v1/audit_pb";
import { formatRoute, type Question, type WhyRoute } from "../route";
import { useFrameStore } from "../state/frameStore";
import { Poll, polledState } from "../state/poll";
import { useRunning } from "../state/running";
import { ConnectionState } from "../ui/ConnectionState";
import { formatDateTime } from "../ui/format";
import { TopStatus } from "../ui/TopStatus";
import { type Chain, chainsOf } from "./chain";
import { ChainView } from "./ChainView";
import { NewestChains } from "./NewestChains";
import { chainFeed } from "./newestChains";
import { nodeText } from "./payloads";
import { questionText, requestOf } from "./question";
import { WhyBar } from "./WhyBar";

/** A chain may still grow. */
const PAUSE_MS = 3_000;

/** Why something has happened: the chain of events behind a fill, an order or a position. */
export function WhyPage({ route: { question } }: { readonly route: WhyRoute }) {
  const address = formatRoute({ page: "why", question });
  return (
    <main className="why" data-testid="why-room">
      <WhyBar key={`bar ${address}`} question={question} />
      {question ? (
        <Answer key={`answer ${address}`} address={address} question={question} />
      ) : (
        <Newest />
      )}
    </main>
  );
}

function Newest() {
  const [feed] = useState(chainFeed);
  useRunning(feed);
  return (
    <>
      <TopStatus>
        <ConnectionState streams={[useFrameStore(feed.state)]} />
      </TopStatus>
      <NewestChains feed={feed} />
    </>
  );
}

interface AnswerProps {
  readonly address: string;
  readonly question: Question;
}

function Answer({ address, question }: AnswerProps) {
  // The address names the question, which is a new object at each rendering.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const poll = useMemo(() => pollWhy(question), [address]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const { value, failure } = polled;
  const chains = useMemo(() => (value ? chainsOf(value) : []), [value]);
  const [picked, pick] = useState("");
  const chain = chains.find(({ key }) => key === picked) ?? chains[0];
  return (
    <>
      <TopStatus>
        <ConnectionState streams={[polledState(polled)]} />
      </TopStatus>
      {value && <Incomplete answer={value} />}
      {!chain && (
        <p className="why-nothing" role="status" data-testid="why-nothing">
          {failure ? failureText(failure) : `Looking for the ${questionText(question)} …`}
        </p>
      )}
      {chain && (
        <div className="why-body">
          {chains.length > 1 && <ChainChoice {...{ chains, chain }} onPick={pick} />}
          <div className="why-chain">
            <ChainView key={chain.key} chain={chain} />
          </div>
        </div>
      )}
    </>
  );
}

/** What the answer lacks, in words. */
function Incomplete({ answer }: { readonly answer: WhyResponse }) {
  const { isTruncated, missingIds } = answer;
  return (
    <>
      {isTruncated && (
        <p className="orders-notice" role="status">
          There are more events than one answer has; the rest is not shown.
        </p>
      )}
      {missingIds.length > 0 && (
        <p className="orders-notice" role="status" data-testid="why-missing">
          {missingIds.length} {missingIds.length === 1 ? "cause is" : "causes are"} named by these
          events but not stored.
        </p>
      )}
    </>
  );
}

interface ChainChoiceProps {
  readonly chains: readonly Chain[];
  readonly chain: Chain;
  readonly onPick: (key: string) => void;
}

/** The chains of a position, newest first. */
function ChainChoice({ chains, chain, onPick }: ChainChoiceProps) {
  return (
    <nav className="chain-choice" aria-label="Chains">
      {chains.map((one) => {
        const first = one.nodes[0];
        const text = first && nodeText(first);
        const timeNs = one.events[0]?.event?.timeNs ?? 0n;
        return (
          <button
            key={one.key}
            data-testid="chain-choice"
            aria-pressed={one.key === chain.key}
            onClick={() => {
              onPick(one.key);
            }}
          >
            <time>{formatDateTime(timeNs)}</time>
            <strong>{text?.title}</strong>
            <span>{text?.fact}</span>
          </button>
        );
      })}
    </nav>
  );
}

function pollWhy(question: Question): Poll<WhyResponse> {
  return new Poll((signal) => audit.why(requestOf(question), { signal }), PAUSE_MS);
}
