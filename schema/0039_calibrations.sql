-- The calibration map of each strategy and regime, and what it is computed from. It changes in the
-- transaction that stores its events.

CREATE TABLE advisor_calibrations (
    strategy text NOT NULL,
    is_pool boolean NOT NULL,           -- the map of all regimes; regime is empty then
    regime text NOT NULL,
    sequence bigint NOT NULL,           -- of the newest counted outcome in the stream of decisions
    calibration bytea NOT NULL,         -- the CalibrationUpdated in force, encoded
    series bytea NOT NULL,              -- the outcomes, MessagePack
    PRIMARY KEY (strategy, is_pool, regime)
);
