import { useState } from "react";

import type { Proposal } from "../gen/venuemesh/inspector/v1/proposals_pb";
import { FailureMessage } from "../orders/FailureMessage";
import { useFrameStore } from "../state/frameStore";
import { closeDialog, Dialog } from "../ui/Dialog";
import { ProposalDecider, proposalText } from "./proposals";
import { RealMoney, useIsReal } from "./RealMoney";

interface ProposalDialogProps {
  readonly proposal: Proposal;
  /** Called when it was confirmed or declined. */
  readonly onDone: () => void;
  readonly onClose: () => void;
}

/** Shows a proposal in full, and confirms or declines it. With real money it asks once more. */
export function ProposalDialog({ proposal, onDone, onClose }: ProposalDialogProps) {
  const [decider] = useState(() => new ProposalDecider());
  const { phase, failure, outcome } = useFrameStore(decider.decision);
  const [reason, setReason] = useState("");
  const [isConfirmed, confirm] = useState(false);
  const isReal = useIsReal();
  const { requestId = "", caller = "", reason: why = "" } = proposal.requested ?? {};
  const isSending = phase === "sending";
  return (
    <Dialog
      title="Decide on a proposal"
      id="proposal-dialog"
      isLocked={isSending}
      onClose={onClose}
    >
      <p className="dialog-sentence" data-testid="proposal-question">
        {proposalText(proposal)}
      </p>
      {phase === "done" ? (
        <p className="dialog-sentence" role="status" data-testid="proposal-done">
          {outcome}
        </p>
      ) : (
        <>
          <p className="dialog-text">
            The model {caller} proposes it, and says: <q data-testid="proposal-reason">{why}</q>
          </p>
          <DeclineReason {...{ reason }} onChange={setReason} />
          {isReal && <RealMoney testId="proposal-real" {...{ isConfirmed }} onConfirm={confirm} />}
          {failure && <FailureMessage failure={failure} />}
        </>
      )}
      <p className="dialog-buttons">
        <button className="outline-button" data-testid="proposal-back" onClick={closeDialog}>
          {phase === "done" ? "Close" : "Back"}
        </button>
        {phase !== "done" && (
          <>
            <button
              className="outline-button"
              data-testid="decline-proposal"
              disabled={isSending}
              onClick={() => void decider.decline(requestId, reason.trim()).then(onDone)}
            >
              Decline
            </button>
            <button
              className="text-button"
              data-testid="confirm-proposal"
              disabled={isSending || (isReal && !isConfirmed)}
              onClick={() => void decider.confirm(requestId).then(onDone)}
            >
              Confirm and send
            </button>
          </>
        )}
      </p>
    </Dialog>
  );
}

interface DeclineReasonProps {
  readonly reason: string;
  readonly onChange: (reason: string) => void;
}

function DeclineReason({ reason, onChange }: DeclineReasonProps) {
  return (
    <div className="mode-fields">
      <label htmlFor="decline-reason">Reason to decline</label>
      <input
        id="decline-reason"
        data-testid="decline-reason"
        maxLength={500}
        placeholder="the model sees it"
        value={reason}
        onChange={(event) => {
          onChange(event.target.value);
        }}
      />
    </div>
  );
}
