import type { ReactNode } from "react";

import { CheckResult } from "../gen/venuemesh/events/v1/checks_pb";
import { Verdict } from "../gen/venuemesh/events/v1/risk_pb";
import type { SubmitManualResponse } from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { Instrument } from "../gen/venuemesh/common/v1/types_pb";
import type { Account } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { notionalText } from "../instrument/sizes";
import { useFrameStore } from "../state/frameStore";
import { closeDialog, Dialog } from "../ui/Dialog";
import { ChecksTable } from "../why/ChecksTable";
import { enumText } from "../why/enumText";
import { EventLink } from "../why/WhyLink";
import { StateMark } from "./OrderCells";
import { type OrderPlacer, type Submission, submissionText } from "./orderPlacer";
import { FailureMessage } from "./FailureMessage";
import { fieldOf, type TextField } from "./ticket";
import { detailText } from "./labels";

interface ReviewDialogProps {
  readonly placer: OrderPlacer;
  readonly account: Account | undefined;
  readonly instrument: Instrument | undefined;
  /** Sets a field of the form to a valid value. */
  readonly onCorrect: (field: TextField, value: string) => void;
}

/** Shows an order as a sentence, sends it, and shows the outcome. */
export function ReviewDialog(props: ReviewDialogProps) {
  const { placer, account, instrument } = props;
  const shown = useFrameStore(placer.current);
  if (!shown) return null;
  const { content, requestId, phase, order } = shown;
  const listed = instrument?.symbol === content.symbol ? instrument : undefined;
  const worth = notionalText(listed, content.size, content.price);
  return (
    <Dialog
      key={requestId}
      title={order ? "Order" : questionOf(shown)}
      id="review-dialog"
      isLocked={phase === "sending"}
      onClose={() => {
        placer.close();
      }}
    >
      <p className="dialog-sentence" data-testid="review-text">
        {submissionText(shown)}
      </p>
      {!order && (
        <p className="dialog-text">
          {worth !== "" && `Value: ${worth}. `}
          {account?.paper
            ? "Paper account: no real money is used."
            : "Real money: the order is executed at the venue."}
        </p>
      )}
      <Outcome shown={shown} />
      <Buttons {...props} shown={shown} />
    </Dialog>
  );
}

function questionOf({ others }: Submission): string {
  return others.length === 0 ? "Send this order?" : "Send these orders?";
}

function Outcome({ shown }: { readonly shown: Submission }) {
  const { phase, failure, isInDoubt, order, answer } = shown;
  if (order) {
    return (
      <p className="dialog-text" role="status" data-testid="review-outcome">
        <StateMark state={order.state} /> {detailText(order)}{" "}
        {answer && <EventLink eventId={answer.lifecycleId} />}
      </p>
    );
  }
  if (phase === "blocked" && answer) return <Blocked answer={answer} />;
  if (phase === "sending") {
    return (
      <p className="dialog-text" role="status">
        Sending …
      </p>
    );
  }
  return (
    <>
      {failure && <FailureMessage failure={failure} />}
      {isInDoubt && (
        <p className="dialog-text" data-testid="review-doubt">
          It is not known whether the order was placed. A retry sends the same request id, so at
          most one order is placed. {answer && <EventLink eventId={answer.lifecycleId} />}
        </p>
      )}
    </>
  );
}

/** Why nothing was sent: the checks that block it, or what the venue's process has refused. */
function Blocked({ answer }: { readonly answer: SubmitManualResponse }) {
  const { verdict, submitted, lifecycleId } = answer;
  const blocked = (verdict?.checks ?? []).filter(({ result }) => result === CheckResult.BLOCKED);
  const reason = submitted?.refusalReason ?? "";
  return (
    <div role="alert" data-testid="review-blocked">
      <p className="failed">
        {submitted ? (
          <>
            <strong>{reason === "" ? "EXPIRED" : reason}</strong> {submitted.detail}
          </>
        ) : (
          `Not approved: ${enumText(Verdict, verdict?.verdict ?? Verdict.UNSPECIFIED)}.`
        )}{" "}
        Nothing was sent. <EventLink eventId={lifecycleId} />
      </p>
      {blocked.length > 0 && <ChecksTable groups={[["", blocked, ""]]} />}
    </div>
  );
}

interface ButtonsProps extends ReviewDialogProps {
  readonly shown: Submission;
}

function Buttons({ placer, shown, onCorrect }: ButtonsProps) {
  const { phase, failure, isInDoubt } = shown;
  const send = () => {
    void placer.send();
  };
  if (phase === "answered") {
    return (
      <ButtonRow>
        <button className="text-button" data-testid="review-close" autoFocus onClick={closeDialog}>
          Close
        </button>
      </ButtonRow>
    );
  }
  const { field = "", nearest = "" } = failure?.metadata ?? {};
  // An invalid order is rejected again, unless an earlier attempt may have placed it.
  const canRetry = (failure?.reason !== "INVALID_ORDER" && phase !== "blocked") || isInDoubt;
  // In a group the field may belong to another order.
  const isKnown = nearest !== "" && shown.others.length === 0;
  const wrong = isKnown ? fieldOf(field) : undefined;
  return (
    <ButtonRow key={phase === "failed" ? "again" : "first"}>
      <button
        className="outline-button"
        data-testid="review-back"
        autoFocus
        disabled={phase === "sending"}
        onClick={closeDialog}
      >
        Back
      </button>
      {wrong && (
        <button
          className="outline-button"
          data-testid="review-nearest"
          onClick={(event) => {
            onCorrect(wrong, nearest);
            closeDialog(event);
          }}
        >
          Change to {nearest}
        </button>
      )}
      {canRetry && (
        <button
          className="text-button"
          data-testid="review-send"
          disabled={phase === "sending"}
          onClick={send}
        >
          {phase === "failed" ? "Retry" : "Send order"}
        </button>
      )}
    </ButtonRow>
  );
}

function ButtonRow({ children }: { readonly children: ReactNode }) {
  return <p className="dialog-buttons">{children}</p>;
}
