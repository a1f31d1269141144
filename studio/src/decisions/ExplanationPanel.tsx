import { useMemo, useState } from "react";

import { describeFailure, failureText } from "../api/failure";
import { advisor } from "../api/transport";
import type { ExplainDecisionResponse } from "../gen/venuemesh/advisor/v1/decision_reports_pb";
import { DecisionOutcome } from "../gen/venuemesh/events/v1/decisions_pb";
import { useFrameStore } from "../state/frameStore";
import { useRunning } from "../state/running";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatDateTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { hexText, shortText } from "../why/bytes";
import { DecisionContent } from "../why/DecisionCard";
import { enumText } from "../why/enumText";
import { Facts } from "../why/Facts";
import { SignalContent } from "../why/SignalCard";
import { pollExplanation } from "./decisionPolls";
import { observedText, repeatedText } from "./decisionText";

interface ExplanationPanelProps {
  /** Undefined: no decision is chosen. */
  readonly eventId: Uint8Array | undefined;
}

/** A decision stage by stage. */
export function ExplanationPanel({ eventId }: ExplanationPanelProps) {
  if (!eventId) {
    return (
      <Panel title="Explanation">
        <p className="empty">A decision of the list is explained here.</p>
      </Panel>
    );
  }
  return <Explanation eventId={eventId} />;
}

function Explanation({ eventId }: { readonly eventId: Uint8Array }) {
  const id = hexText(eventId);
  // The id names the decision; its bytes are new at each rendering.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const poll = useMemo(() => pollExplanation(eventId), [id]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  return (
    <Panel title="Explanation" aside={<Repetition eventId={eventId} />}>
      {polled.value ? (
        <Explained found={polled.value} />
      ) : (
        <EmptyPanel polled={polled} empty="There is no such decision." />
      )}
    </Panel>
  );
}

function Explained({ found: { signal, decision, observed } }: { found: ExplainDecisionResponse }) {
  const raised = signal?.payload.case === "signalRaised" ? signal.payload.value : undefined;
  const made = decision?.payload.case === "decisionMade" ? decision.payload.value : undefined;
  if (!raised || !decision || !made) return <p className="empty">It is newer than this page.</p>;
  const id = hexText(decision.eventId);
  return (
    <div className="explanation" data-testid="explanation">
      <Facts
        facts={[
          ["Result", enumText(DecisionOutcome, made.outcome)],
          ["Made", `${formatDateTime(decision.timeNs)} UTC`],
          ["Outcome", observed ? observedText(observed) : ""],
          [
            "Decision",
            <code key="decision" title={id}>
              {shortText(id)}
            </code>,
          ],
        ]}
      />
      <h3>Signal of {raised.strategy}</h3>
      <SignalContent signal={raised} />
      <h3>Order and stages</h3>
      <DecisionContent decision={made} />
    </div>
  );
}

/** Makes the decision again from its record, and says whether it is the same. */
function Repetition({ eventId }: { readonly eventId: Uint8Array }) {
  const [text, setText] = useState("");
  const repeat = () => {
    setText("…");
    advisor
      .repeatDecision({ eventId })
      .then((answer) => {
        setText(repeatedText(answer));
      })
      .catch((error: unknown) => {
        setText(failureText(describeFailure(error)));
      });
  };
  return (
    <>
      <span className="panel-note" role="status" title={text} data-testid="repeated">
        {text}
      </span>
      <button className="outline-button" onClick={repeat}>
        Decide again
      </button>
    </>
  );
}
