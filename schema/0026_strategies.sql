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
