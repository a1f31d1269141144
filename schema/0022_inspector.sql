-- The inspector: modes, what strategies hold, and the approved orders.

CREATE TABLE inspector_modes (
    scope text PRIMARY KEY,             -- "mesh", "venue:…", "account:…/…", "strategy:…"
    mode smallint NOT NULL,             -- venuemesh.events.v1.TradingMode
    reason text NOT NULL,
    caller text NOT NULL,
    changed_time_ns bigint NOT NULL,
    changes bigint NOT NULL             -- how often it was set
);

-- What a strategy holds in an instrument, from the approval of its entry until nothing is left.
CREATE TABLE inspector_positions (
    position_id bytea PRIMARY KEY,      -- the lifecycle that has opened it
    strategy text NOT NULL,
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    base_asset text NOT NULL,           -- of a spot instrument; '' of a derivative
    size_step text NOT NULL,            -- of the instrument, '' if it is not known
    size_min text NOT NULL,
    stop_price text NOT NULL,           -- '': none
    target_price text NOT NULL,
    ended_time_ns bigint NOT NULL DEFAULT 0,
    -- What is wanted of it: '' nothing, '1' to close it, otherwise the part to close.
    close_fraction text NOT NULL DEFAULT '',
    close_rest text NOT NULL DEFAULT '',    -- the size that shall be left; '' until it is computed
    close_lifecycle_id bytea NOT NULL DEFAULT '',
    close_cause_id bytea NOT NULL DEFAULT ''
);

-- At most one of a strategy in an instrument.
CREATE UNIQUE INDEX inspector_open_positions
    ON inspector_positions (strategy, venue, account, symbol) WHERE ended_time_ns = 0;

-- What was approved together, and what came of it.
CREATE TABLE inspector_submissions (
    submission_id bytea PRIMARY KEY,    -- id of the event VerdictGiven
    number bigint GENERATED ALWAYS AS IDENTITY,
    lifecycle_id bytea NOT NULL,
    position_id bytea NOT NULL,         -- '': of a person
    approved bytea NOT NULL,            -- venuemesh.tradeflow.v1.PlaceOrderGroupRequest
    is_entry boolean NOT NULL,
    approved_time_ns bigint NOT NULL,
    expires_time_ns bigint NOT NULL,
    outcome smallint NOT NULL DEFAULT 0 -- venuemesh.events.v1.SubmissionOutcome; 0: not known yet
);

CREATE INDEX inspector_unsent ON inspector_submissions (number) WHERE outcome = 0;

CREATE INDEX inspector_recent_entries ON inspector_submissions (approved_time_ns) WHERE is_entry;

-- The orders of strategies' positions, as far as their states are known.
CREATE TABLE inspector_orders (
    venue text NOT NULL,
    account text NOT NULL,
    client_order_id text NOT NULL,
    request_id text NOT NULL,
    position_id bytea NOT NULL,
    role smallint NOT NULL,             -- core.inspector.positions.OrderRole
    is_buy boolean NOT NULL,
    state smallint NOT NULL,            -- venuemesh.tradeflow.v1.OrderState; 0: not known
    filled_size numeric NOT NULL DEFAULT 0,
    updated_time_ns bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (venue, account, client_order_id)
);

CREATE INDEX inspector_orders_of_position ON inspector_orders (position_id);

CREATE INDEX inspector_orders_by_request ON inspector_orders (request_id text_pattern_ops);

-- The fills of these orders.
CREATE TABLE inspector_fills (
    venue text NOT NULL,
    account text NOT NULL,
    symbol text NOT NULL,
    fill_id text NOT NULL,
    client_order_id text NOT NULL,
    size numeric NOT NULL,
    fee_asset text NOT NULL,
    fee_amount numeric NOT NULL,
    PRIMARY KEY (venue, account, symbol, fill_id)
);

CREATE INDEX inspector_fills_of_order ON inspector_fills (venue, account, client_order_id);

-- Requests of persons: the same id is the same request.
CREATE TABLE inspector_requests (
    request_id text PRIMARY KEY,
    content_hash bytea NOT NULL,
    lifecycle_id bytea NOT NULL,
    verdict_id bytea NOT NULL
);
