import { useState } from "react";

import type { Venue } from "../instrument/venues";
import { sizeUnit } from "../instrument/sizes";
import { SymbolPicker } from "../instrument/SymbolPicker";
import { Inspector } from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { Account } from "../gen/venuemesh/tradeflow/v1/accounts_pb";
import { useRefusal } from "../session/refusal";
import { useFrameStore } from "../state/frameStore";
import { Panel } from "../ui/Panel";
import { linkedOrders } from "./group";
import { type OrderPlacer, submissionText } from "./orderPlacer";
import { ReviewDialog } from "./ReviewDialog";
import { contentOf, EMPTY_TICKET, problemsOf } from "./ticket";
import { TicketFields } from "./TicketFields";
import { useListedInstruments } from "./listedInstruments";

interface TicketPanelProps {
  readonly venue: Venue;
  readonly account: Account | undefined;
  /** The account's name. */
  readonly name: string;
  readonly placer: OrderPlacer;
}

/** The order form, or a note that the caller may place no orders. */
export function TicketPanel(props: TicketPanelProps) {
  const refusal = useRefusal(Inspector.method.submitManual);
  if (refusal !== undefined) {
    return (
      <Panel title="New order" className="ticket">
        <p className="empty" data-testid="role-missing">
          {refusal}
        </p>
      </Panel>
    );
  }
  return <TicketForm {...props} />;
}

function TicketForm({ venue, account, name, placer }: TicketPanelProps) {
  const { symbol, instrument, instruments, streamed, pick } = useListedInstruments(venue);
  const [ticket, setTicket] = useState(EMPTY_TICKET);
  const [isTried, setTried] = useState(false);
  const problems = problemsOf(ticket);
  const review = () => {
    setTried(true);
    if (symbol === "" || Object.keys(problems).length > 0) return;
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    const content = contentOf(ticket, { venue: venue.id, account: name, symbol }, nowNs);
    placer.review(content, linkedOrders(ticket, content), sizeUnit(instrument));
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
            Review order …
          </button>
        </form>
        <InDoubt placer={placer} />
      </Panel>
      <ReviewDialog
        {...{ placer, account, instrument }}
        onCorrect={(field, value) => {
          setTicket({ ...ticket, [field]: value });
        }}
      />
    </>
  );
}

/** Submitted orders whose outcome is unknown. */
function InDoubt({ placer }: { readonly placer: OrderPlacer }) {
  const inDoubt = useFrameStore(placer.inDoubt);
  return inDoubt.map((submission) => (
    <div key={submission.requestId} className="in-doubt" role="status" data-testid="order-in-doubt">
      <p>Unknown whether this order was placed: {submissionText(submission)}.</p>
      <p className="dialog-buttons">
        <button
          className="outline-button"
          onClick={() => {
            placer.forget(submission.requestId);
          }}
        >
          Dismiss
        </button>
        <button
          className="outline-button"
          onClick={() => {
            placer.resume(submission);
          }}
        >
          Retry …
        </button>
      </p>
    </div>
  ));
}
