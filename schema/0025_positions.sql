-- What the inspector tells of positions. The detector keeps what it says, and no sums of its own.
ALTER TABLE inspector_positions
    ADD COLUMN published_size text NOT NULL DEFAULT '',      -- in the newest event PositionChanged
    ADD COLUMN published_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN rest text NOT NULL DEFAULT '',           -- '': nothing was left when it ended
    -- Whether the decision close_cause_id opens the other side once it is closed.
    ADD COLUMN close_flips boolean NOT NULL DEFAULT false;

CREATE INDEX inspector_rests ON inspector_positions (ended_time_ns) WHERE rest <> '';

-- What the inspector does not have is no position.
UPDATE detector_positions SET size = 0 WHERE NOT EXISTS (
    SELECT FROM inspector_positions AS known WHERE known.ended_time_ns = 0
    AND (known.strategy, known.venue, known.symbol)
        = (detector_positions.strategy, detector_positions.venue, detector_positions.symbol)
);

ALTER TABLE detector_positions DROP COLUMN largest;

-- Reductions of positions that wait for the outcome of the one before.
CREATE TABLE inspector_reductions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position_id bytea NOT NULL,
    fraction text NOT NULL,             -- the part to close of what is left then
    lifecycle_id bytea NOT NULL,
    cause_id bytea NOT NULL,
    is_over boolean NOT NULL DEFAULT false  -- begun, or nothing was left to reduce
);

CREATE INDEX inspector_waiting_reductions ON inspector_reductions (position_id, number)
    WHERE NOT is_over;

-- Accounts whose entries are void that were approved before a mode has changed.
CREATE TABLE inspector_fences (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL,
    account text NOT NULL,
    lapse_time_ns bigint NOT NULL,      -- when all of these approvals have expired
    is_over boolean NOT NULL DEFAULT false  -- the venue's process refuses them, or they expired
);

CREATE INDEX inspector_unconfirmed_fences ON inspector_fences (number) WHERE NOT is_over;
