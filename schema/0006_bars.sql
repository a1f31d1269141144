-- Bars that end with a trade, revisions that were superseded, and several aggregators.

ALTER TABLE bars
    -- Of a bar that ends with a trade: its place in its UTC day, from 0. Otherwise 0.
    ADD COLUMN number integer NOT NULL DEFAULT 0,
    -- End of the interval, or venue time of the last trade.
    ADD COLUMN close_time_ns bigint,
    -- When this revision was written; of an open bar, when it was written last.
    ADD COLUMN written_time_ns bigint;

-- What was there before says only when it can have been written at the earliest.
UPDATE bars
SET close_time_ns = open_time_ns + length_s * 1000000000,
    written_time_ns = open_time_ns + length_s * 1000000000
FROM (VALUES
    ('1s', 1::bigint), ('5s', 5), ('15s', 15), ('1m', 60), ('5m', 300), ('15m', 900),
    ('30m', 1800), ('1h', 3600), ('4h', 14400), ('1d', 86400), ('1w', 604800)
) AS lengths (name, length_s)
WHERE interval = name;

ALTER TABLE bars
    ALTER COLUMN close_time_ns SET NOT NULL,
    ALTER COLUMN written_time_ns SET NOT NULL,
    DROP CONSTRAINT bars_pkey,
    ADD PRIMARY KEY (venue, symbol, interval, open_time_ns, number);

-- Final bars that an amendment has replaced or removed, as they were. Known at a time T were: of
-- bars and bar_revisions together, those with written_time_ns <= T < superseded_time_ns, which is
-- endless in bars.
CREATE TABLE bar_revisions (
    LIKE bars INCLUDING DEFAULTS,
    superseded_time_ns bigint NOT NULL,
    PRIMARY KEY (venue, symbol, interval, open_time_ns, number, revision)
);

-- Instruments are dealt into 16 shards; one aggregator makes the bars of a shard. It is the one
-- that has raised the lease epoch last: in each transaction it finds its epoch here, or is told
-- that the shard is another's.
CREATE TABLE bar_shards (
    shard smallint PRIMARY KEY,
    lease_epoch bigint NOT NULL,
    -- The aggregator that raised it.
    owner text NOT NULL
);
INSERT INTO bar_shards SELECT number, 0, '' FROM generate_series(0, 15) AS number;

-- How far each shard has got in each stream. Moved together with its bars.
CREATE TABLE bar_positions (
    shard smallint NOT NULL,
    stream text NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    -- How far the time of the venue's trades has got there.
    newest_time_ns bigint NOT NULL,
    PRIMARY KEY (shard, stream)
)
WITH (fillfactor = 50);
INSERT INTO bar_positions
SELECT shard, stream, epoch, sequence, newest_time_ns
FROM stream_positions
JOIN bar_venues ON stream = 'md:{' || venue || '}:trades'
CROSS JOIN bar_shards
WHERE consumer = 'bars';
DELETE FROM stream_positions WHERE consumer = 'bars';
DROP TABLE bar_venues;

ALTER TABLE bar_instruments
    -- Ids below the floor that repairs have brought, as in trade_ids.
    ADD COLUMN fetched_trade_ids jsonb NOT NULL DEFAULT '[]',
    -- Where the bars that end with a trade stand, see core/bars/events.py.
    ADD COLUMN events json NOT NULL DEFAULT '{}';
