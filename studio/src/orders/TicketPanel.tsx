import { useState } from "react";

import type { Venue } from "../instrument/venues";
import { SymbolPicker } from "../instrument/SymbolPicker";
import type { Account } from "../gen/venuemesh/tradeflow/v1/trade_flow_pb";
import { useFrameStore } from "../state/frameStore";
import { Panel } from "../ui/Panel";
import { othersOf, groupSentence } from "./group";
import { mayPlace, type Placing } from "./placing";
import { ReviewDialog } from "./ReviewDialog";
import { contentOf, EMPTY_TICKET, problemsOf } from "./ticket";
import { TicketFields } from "./TicketFields";
import { useListed } from "./listed";

interface TicketPanelProps {
  readonly venue: Venue;
  readonly account: Account | undefined;
  /** Of the account. */
  readonly name: string;
  readonly placing: Placing;
}

/** A form to place an order with, where somebody is there to approve it. */
export function TicketPanel(props: TicketPanelProps) {
  const approver = useFrameStore(props.placing.approver);
  if (!mayPlace(approver, props.account)) {
    return (
      <Panel title="New order" className="ticket">
        <p className="empty" data-testid="approved-only">
          Orders of this account are placed by an approved client only. They can be watched and
          cancelled here.
        </p>
      </Panel>
    );
  }
  return <TicketForm {...props} />;
}

function TicketForm({ venue, account, name, placing }: TicketPanelProps) {
  const { symbol, instrument, instruments, streamed, pick } = useListed(venue);
  const [ticket, setTicket] = useState(EMPTY_TICKET);
  const [isTried, setTried] = useState(false);
  const problems = problemsOf(ticket);
  const review = () => {
    setTried(true);
    if (symbol === "" || Object.keys(problems).length > 0) return;
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    const content = contentOf(ticket, { venue: venue.id, account: name, symbol }, nowNs);
    placing.review(content, othersOf(ticket, content));
  };
  return (
    <>
      <Panel title="New order" className="ticket">
        <form
          className="ticket-form"
          aria-label="New order"
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            review();
          }}
        >
          <SymbolPicker place={{ symbol, instrument, instruments, streamed }} onPick={pick} />
          <TicketFields
            {...{ ticket, instrument }}
            problems={isTried ? problems : {}}
            onChange={(change) => {
              setTicket({ ...ticket, ...change });
            }}
          />
          <button className="text-button" type="submit" data-testid="ticket-review">
            Review …
          </button>
        </form>
        <InDoubt placing={placing} />
      </Panel>
      <ReviewDialog
        {...{ placing, account, instrument }}
        onCorrect={(field, value) => {
          setTicket({ ...ticket, [field]: value });
        }}
      />
    </>
  );
}

/** Orders of which nobody has said yet whether they were placed. */
function InDoubt({ placing }: { readonly placing: Placing }) {
  const inDoubt = useFrameStore(placing.inDoubt);
  return inDoubt.map((submission) => (
    <div key={submission.requestId} className="in-doubt" role="status" data-testid="order-in-doubt">
      <p>
        It is not known whether this was placed:{" "}
        {groupSentence(submission.content, submission.others)}.
      </p>
      <p className="dialog-buttons">
        <button
          className="outline-button"
          onClick={() => {
            placing.forget(submission.requestId);
          }}
        >
          Forget it
        </button>
        <button
          className="outline-button"
          onClick={() => {
            placing.resume(submission);
          }}
        >
          Try again …
        </button>
      </p>
    </div>
  ));
}
