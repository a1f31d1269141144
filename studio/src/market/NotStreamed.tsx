import { useState } from "react";

import { describeFailure, failureText } from "../api/failure";
import { Admin } from "../gen/venuemesh/admin/v1/admin_pb";
import { useRefusal } from "../session/refusal";
import { startStreaming, type Venue } from "../instrument/venues";

interface NotStreamedProps {
  readonly venue: Venue;
  readonly symbol: string;
  /** False if the venue does not list the symbol. */
  readonly listed: boolean;
}

/** Says why there is no data, and offers to subscribe. */
export function NotStreamed({ venue, symbol, listed }: NotStreamedProps) {
  const refusal = useRefusal(Admin.method.updateSubscriptions);
  const [answer, setAnswer] = useState("");
  const start = async () => {
    setAnswer("Subscribing …");
    try {
      await startStreaming(venue.serviceId, symbol);
      setAnswer("Subscribed. Waiting for the first event …");
    } catch (error) {
      setAnswer(failureText(describeFailure(error)));
    }
  };
  if (!listed) {
    return (
      <div className="not-streamed" role="status">
        {venue.id} does not list {symbol}. Press / to find another instrument.
      </div>
    );
  }
  return (
    <div className="not-streamed" role="status">
      <span>{answer || `${venue.id} is not subscribed to ${symbol}.`}</span>
      <button
        className="text-button"
        data-testid="start-streaming"
        title={refusal}
        disabled={refusal !== undefined}
        onClick={() => {
          void start();
        }}
      >
        Stream it
      </button>
    </div>
  );
}
