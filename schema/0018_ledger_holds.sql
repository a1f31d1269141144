-- Amounts that are reserved until they are booked, given back, or their time is over. Accounts are
-- arrays of code, venue, account, asset, symbol and strategy.
CREATE TABLE ledger_holds (
    hold_id text PRIMARY KEY,
    debit text[] NOT NULL,
    credit text[] NOT NULL,
    amount numeric(38, 0) NOT NULL,     -- in atoms
    expires_time_ns bigint NOT NULL,    -- 0: it does not expire
    created_time_ns bigint NOT NULL,
    caller text NOT NULL,
    detail text NOT NULL,
    state smallint NOT NULL,            -- venuemesh.ledger.v1.HoldState, as a caller has set it
    posted_amount numeric(38, 0) NOT NULL DEFAULT 0
);

CREATE INDEX ledger_holds_pending ON ledger_holds (credit) WHERE state = 1;
