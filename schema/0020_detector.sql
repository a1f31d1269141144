-- What the strategies of the detector have seen, and what they hold.
-- compatible_from: 12

-- A strategy on an instrument. A row changes in the transaction that stores its signals.
CREATE TABLE detector_instances (
    strategy text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    -- SHA-256 of the strategy's file, hexadecimal.
    version text NOT NULL,
    -- Of its newest bar.
    open_time_ns bigint NOT NULL,
    revision bigint NOT NULL,
    -- The encoded state after this bar.
    state bytea NOT NULL,
    PRIMARY KEY (strategy, venue, symbol)
);

-- Its position, by the fills of its own orders.
CREATE TABLE detector_positions (
    strategy text NOT NULL,
    venue text NOT NULL,
    symbol text NOT NULL,
    -- Negative if short.
    size numeric NOT NULL,
    -- Largest absolute size since it was last 0.
    largest numeric NOT NULL,
    PRIMARY KEY (strategy, venue, symbol)
);
