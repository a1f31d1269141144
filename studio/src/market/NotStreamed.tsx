import { useState } from "react";

import { describeFailure, failureText } from "../api/failure";
import { startStreaming, type Venue } from "../instrument/venues";

interface NotStreamedProps {
  readonly venue: Venue;
  readonly symbol: string;
  /** False when the venue is known not to list the symbol. */
  readonly listed: boolean;
}

/** Says why nothing comes, and offers to change that. */
export function NotStreamed({ venue, symbol, listed }: NotStreamedProps) {
  const [answer, setAnswer] = useState("");
  const start = async () => {
    setAnswer("Asking the venue …");
    try {
      await startStreaming(venue.serviceId, symbol);
      setAnswer("Asked for. Waiting for the first event …");
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
      <span>{answer || `${venue.id} does not stream ${symbol} at present.`}</span>
      <button
        className="text-button"
        data-testid="start-streaming"
        onClick={() => {
          void start();
        }}
      >
        Stream it
      </button>
    </div>
  );
}
