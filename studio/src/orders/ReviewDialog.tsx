import type { ReactNode } from "react";

import type { Instrument } from "../gen/venuemesh/common/v1/types_pb";
import type { Account } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { useFrameStore } from "../state/frameStore";
import { closeDialog, Dialog } from "../ui/Dialog";
import { StateMark } from "./OrderCells";
import { groupSentence } from "./group";
import type { Placing, Submission } from "./placing";
import { Refusal } from "./Refusal";
import { worthOf } from "./sentence";
import { fieldOf, type TextField } from "./ticket";
import { detailText } from "./words";

interface ReviewDialogProps {
  readonly placing: Placing;
  readonly account: Account | undefined;
  readonly instrument: Instrument | undefined;
  /** Puts a valid value into a field of the form. */
  readonly onCorrect: (field: TextField, value: string) => void;
}

/** Says in words what will be sent, sends it, and tells what has become of it. */
export function ReviewDialog(props: ReviewDialogProps) {
  const { placing, account, instrument } = props;
  const shown = useFrameStore(placing.current);
  if (!shown) return null;
  const { content, others, requestId, phase, order } = shown;
  const worth = instrument?.symbol === content.symbol ? worthOf(content, instrument) : "";
  return (
    <Dialog
      key={requestId}
      title={order ? "The order" : questionOf(shown)}
      id="review-dialog"
      isLocked={phase === "sending"}
      onClose={() => {
        placing.close();
      }}
    >
      <p className="dialog-sentence" data-testid="review-text">
        {groupSentence(content, others)}
      </p>
      {!order && (
        <p className="dialog-text">
          {worth !== "" && `Worth ${worth}. `}
          {account?.paper
            ? "Paper account: nothing real is traded."
            : "Real money: it is traded at the venue."}
        </p>
      )}
      <Outcome shown={shown} />
      <Buttons {...props} shown={shown} />
    </Dialog>
  );
}

function questionOf({ others }: Submission): string {
  return others.length === 0 ? "Send this order?" : "Send these orders together?";
}

function Outcome({ shown: { phase, failure, isInDoubt, order } }: { readonly shown: Submission }) {
  if (order) {
    return (
      <p className="dialog-text" role="status" data-testid="review-outcome">
        <StateMark state={order.state} /> {detailText(order)}
      </p>
    );
  }
  if (phase === "sending") {
    return (
      <p className="dialog-text" role="status">
        Sending …
      </p>
    );
  }
  return (
    <>
      {failure && <Refusal failure={failure} />}
      {isInDoubt && (
        <p className="dialog-text" data-testid="review-doubt">
          It is not known whether the order was placed. Trying again sends the same request: it
          makes one order at most.
        </p>
      )}
    </>
  );
}

interface ButtonsProps extends ReviewDialogProps {
  readonly shown: Submission;
}

function Buttons({ placing, shown, onCorrect }: ButtonsProps) {
  const { phase, failure, isInDoubt } = shown;
  const send = () => {
    void placing.send();
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
  // The same order is refused again, unless it was placed before it was refused.
  const mayFareBetter = failure?.reason !== "INVALID_ORDER" || isInDoubt;
  // In a group it may be the field of another one.
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
      {mayFareBetter && (
        <button
          className="text-button"
          data-testid="review-send"
          disabled={phase === "sending"}
          onClick={send}
        >
          {phase === "failed" ? "Try again" : "Send order"}
        </button>
      )}
    </ButtonRow>
  );
}

function ButtonRow({ children }: { readonly children: ReactNode }) {
  return <p className="dialog-buttons">{children}</p>;
}
