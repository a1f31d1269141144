-- What models have proposed. A row is changed once: when it is confirmed, declined, or has expired.

CREATE TABLE inspector_proposals (
    request_id text PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    content_hash bytea NOT NULL,        -- of the request and its caller
    requested bytea NOT NULL,           -- venuemesh.events.v1.OrderRequested
    token_id text NOT NULL,             -- the first of the chain of the token that was shown
    proposed_time_ns bigint NOT NULL,
    expires_time_ns bigint NOT NULL,
    state smallint NOT NULL,            -- venuemesh.events.v1.ProposalState
    decided_by text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT ''     -- why it was declined
);

CREATE INDEX inspector_pending_proposals ON inspector_proposals (number) WHERE state = 1;
