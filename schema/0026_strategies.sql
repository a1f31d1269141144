-- Strategies that were started or stopped while the mesh ran.

CREATE TABLE detector_strategies (
    -- Under which it runs.
    name text PRIMARY KEY,
    runs boolean NOT NULL,
    -- Null: that of the detector's folder of strategies.
    source bytea,
    file text NOT NULL,
    -- Name of the strategy in the file.
    strategy text NOT NULL,
    -- Values of the parameters of the file, by name.
    parameters jsonb NOT NULL,
    -- Grows with each start and stop.
    changes bigint NOT NULL
);

-- With which bars a strategy has begun, so that it can be computed again from the record.
CREATE TABLE detector_runs (
    strategy text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    -- Of the first bar that could raise a signal.
    open_time_ns bigint NOT NULL,
    -- Of the first bar of its warm-up; the same if there was none.
    warm_up_time_ns bigint NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (strategy, venue, symbol, open_time_ns)
);

-- The position that a strategy knew, from this bar on.
CREATE TABLE detector_seen_positions (
    strategy text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    open_time_ns bigint NOT NULL,
    size numeric NOT NULL,
    PRIMARY KEY (strategy, venue, symbol, open_time_ns)
);
