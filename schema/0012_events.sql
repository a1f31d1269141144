-- The events from a signal to the books. A service stores an event in the transaction that changes
-- its state, so there is neither a change without its event nor an event without its change.

-- The number of the newest event of each stream. A writer locks the row until its commit, so the
-- numbers are in the order of the commits and have no holes.
CREATE TABLE event_streams (
    stream text PRIMARY KEY,
    epoch bigint NOT NULL,      -- ms since the Unix epoch; first half of the ids in Redis
    sequence bigint NOT NULL
);

INSERT INTO event_streams
SELECT stream, (extract(epoch FROM now()) * 1000)::bigint, 0
FROM unnest(ARRAY['signals', 'decisions', 'risk', 'executions', 'ledger', 'system']) AS stream;

CREATE TABLE events (
    stream text NOT NULL,
    sequence bigint NOT NULL,
    event_id bytea NOT NULL UNIQUE,
    lifecycle_id bytea NOT NULL,        -- empty: belongs to no chain
    subject text NOT NULL,              -- what it is about, for example 'fill:binance/main/...'
    stored_time_ns bigint NOT NULL,
    body bytea NOT NULL,                -- the message, as its maker has encoded it
    PRIMARY KEY (stream, sequence)
);

CREATE INDEX events_by_lifecycle ON events (lifecycle_id) WHERE lifecycle_id <> '';

CREATE INDEX events_by_subject ON events (subject) WHERE subject <> '';

-- The newest event of each stream that a consumer has processed.
CREATE TABLE event_positions (
    consumer text NOT NULL,
    stream text NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (consumer, stream)
);

-- Who may do what only one process may do at a time. The epoch grows with each new holder.
CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    expires_time timestamptz NOT NULL
);
