-- Every large table is cut by UTC day, so that old days go as a whole and new rows stay small in
-- their indexes. With TimescaleDB the tables are hypertables; without it, native partitions. Views,
-- columns and keys are the same with both, and so are the functions by which a process has days
-- made and dropped.
--
-- A unique key has to hold the time that cuts its table. A venue sends a trade with the same time
-- each time.
--
-- A native table has one partition more, <table>_other: for rows of a day that has no partition yet
-- or never gets one, because its time cannot be right. No row is refused for its time.

SET LOCAL synchronize_seqscans = off;

-- Where the server has TimescaleDB loaded but this database does not.
DO $$
BEGIN
    IF current_setting('shared_preload_libraries') ~ '\mtimescaledb\M' THEN
        CREATE EXTENSION IF NOT EXISTS timescaledb;
    END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'without TimescaleDB: %', SQLERRM;
END $$;

CREATE FUNCTION now_ns() RETURNS bigint
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (extract(epoch FROM now()) * 1000000000)::bigint;

-- For conditions on columns in ns: venue_time_ns >= ns_of('2026-01-01Z').
CREATE FUNCTION ns_of(moment timestamptz) RETURNS bigint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (extract(epoch FROM moment) * 1000000000)::bigint;

CREATE FUNCTION day_ns() RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN 86400000000000;

-- The tables that are cut, and by which of their times.
CREATE TABLE storage_tables (
    table_name text PRIMARY KEY,
    time_column text NOT NULL
);

-- True: PostgreSQL's own partitions. False: a hypertable.
CREATE FUNCTION is_native(name text) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN (SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(name));

-- Cut an empty table into days.
CREATE FUNCTION cut_by_day(name text, time_column text) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO storage_tables VALUES (name, time_column);
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        PERFORM create_hypertable(
            name::regclass, by_range(time_column, day_ns()), create_default_indexes => false);
        PERFORM set_integer_now_func(name::regclass, 'now_ns');
        RETURN;
    END IF;
    EXECUTE format('ALTER TABLE %I RENAME TO %I', name, name || '_uncut');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) PARTITION BY RANGE (%I)',
        name, name || '_uncut', time_column);
    EXECUTE format('DROP TABLE %I', name || '_uncut');
    EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', name || '_other', name);
END $$;

-- The partition of the day that begins at this time.
CREATE FUNCTION day_table(name text, start_ns bigint) RETURNS text
    LANGUAGE sql STABLE
    RETURN name || '_' || to_char(time_of(start_ns) AT TIME ZONE 'UTC', 'YYYYMMDD');

-- Make room for rows of these times, days ahead or long past. Rows that stand in <table>_other and
-- belong to one of the days are moved. Days before 2009 or after tomorrow get none: such times are
-- mistakes, and a table per mistake would have no end. Returns the number of days that were made.
--
-- Partitions are attached, which keeps neither readers nor writers of other days waiting. Whoever
-- reads <table>_other for longer than lock_timeout delays the day: its rows go there meanwhile.
-- With TimescaleDB there is nothing to do.
CREATE FUNCTION make_days(name text, times_ns bigint[]) RETURNS integer
    LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    column_name text := (SELECT time_column FROM storage_tables WHERE table_name = name);
    made integer := 0;
    start_ns bigint;
    span text;
BEGIN
    IF NOT is_native(name) THEN
        RETURN 0;
    END IF;
    FOR start_ns IN
        SELECT DISTINCT at_ns - at_ns % day_ns() FROM unnest(times_ns) AS at_ns
        WHERE at_ns >= ns_of('2009-01-01Z') AND at_ns < now_ns() + 2 * day_ns()
    LOOP
        CONTINUE WHEN to_regclass(day_table(name, start_ns)) IS NOT NULL;
        span := format('%1$I >= %2$s AND %1$I < %3$s',
            column_name, start_ns, start_ns + day_ns());
        EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', name);
        CONTINUE WHEN to_regclass(day_table(name, start_ns)) IS NOT NULL;
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', name || '_other');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', day_table(name, start_ns), name);
        EXECUTE format(
            'WITH moved AS (DELETE FROM %I WHERE %s RETURNING *) INSERT INTO %I TABLE moved',
            name || '_other', span, day_table(name, start_ns));
        EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
            name, day_table(name, start_ns), start_ns, start_ns + day_ns());
        made := made + 1;
    END LOOP;
    RETURN made;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END $$;

-- The old tables step aside, and the new ones take their names.
DROP VIEW trades, quotes, book_batches, gaps;
ALTER TABLE trade_rows RENAME TO trade_rows_before;
ALTER TABLE quote_rows RENAME TO quote_rows_before;
ALTER TABLE book_batch_rows RENAME TO book_batch_rows_before;

CREATE TABLE trade_rows (
    venue_time_ns bigint NOT NULL,
    received_time_ns bigint NOT NULL,
    -- The venue's id where that is a number, otherwise null.
    trade_id bigint,
    instrument_id integer NOT NULL,
    -- Side of the taker: 1 bought, 2 sold, 0 not known.
    side smallint NOT NULL,
    price numeric NOT NULL,
    size numeric NOT NULL,
    -- The venue's id where that is text, otherwise null. A trade without any id stands under its
    -- place in the stream, <epoch>-<sequence>:<row>.
    trade_id_text text,
    -- The repair that fetched it later, null for what came by itself.
    repair_id text,
    CHECK ((trade_id IS NULL) <> (trade_id_text IS NULL))
);

CREATE TABLE quote_rows (
    received_time_ns bigint NOT NULL,
    venue_time_ns bigint NOT NULL,
    -- The venue's update id, 0 where there is none.
    sequence bigint NOT NULL,
    instrument_id integer NOT NULL,
    bid_price numeric NOT NULL,
    bid_size numeric NOT NULL,
    ask_price numeric NOT NULL,
    ask_size numeric NOT NULL
);

-- Figures of the last 24 hours; null where the venue does not say.
CREATE TABLE ticker_rows (
    received_time_ns bigint NOT NULL,
    venue_time_ns bigint NOT NULL,
    instrument_id integer NOT NULL,
    last_price numeric,
    open_price numeric,
    high_price numeric,
    low_price numeric,
    volume numeric
);

-- What derivatives are valued at; null where the row does not say.
CREATE TABLE mark_rows (
    received_time_ns bigint NOT NULL,
    venue_time_ns bigint NOT NULL,
    instrument_id integer NOT NULL,
    mark_price numeric,
    index_price numeric,
    funding_rate numeric,
    next_funding_time_ns bigint
);

-- Candles as the venue computes them: of each the newest state.
CREATE TABLE candle_rows (
    open_time_ns bigint NOT NULL,
    venue_time_ns bigint NOT NULL,
    received_time_ns bigint NOT NULL,
    instrument_id integer NOT NULL,
    interval_s integer NOT NULL,
    closed boolean NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL
);

-- Book updates as the venue process published them: the bytes of a MarketDataBatch, which may hold
-- updates of many instruments.
CREATE TABLE book_batch_rows (
    -- Of its updates. A batch without updates is not stored; its gaps are.
    first_received_time_ns bigint NOT NULL,
    last_received_time_ns bigint NOT NULL,
    -- The batch's cursor.
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    update_count integer NOT NULL,
    -- How the bytes are packed, as Codec in kit/archive/codec.py: 0 not, 1 zstd, 2 as columns.
    codec smallint NOT NULL DEFAULT 0,
    venue text NOT NULL,
    -- The instruments that it has updates of, and those of them that it has snapshots of.
    instrument_ids integer[] NOT NULL,
    snapshot_instrument_ids integer[] NOT NULL,
    batch bytea NOT NULL
);

-- Raw frames as they came, when a venue is told to pass them on: the bytes of a MarketDataBatch.
CREATE TABLE frame_rows (
    first_received_time_ns bigint NOT NULL,
    last_received_time_ns bigint NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    frame_count integer NOT NULL,
    -- As in book_batch_rows.
    codec smallint NOT NULL,
    venue text NOT NULL,
    batch bytea NOT NULL
);

-- What an instrument was like, and from when to when: null is "still".
CREATE TABLE instrument_terms (
    venue text NOT NULL,
    symbol text NOT NULL,
    valid_from_ns bigint NOT NULL,
    valid_to_ns bigint,
    -- As StatusChange in the contract.
    change smallint NOT NULL,
    -- The fields of Instrument in the contract; numbers are decimal texts.
    definition jsonb NOT NULL,
    -- The batch that it came with.
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (venue, symbol, valid_from_ns)
);

ALTER TABLE gap_rows
    -- How it has ended, as FillOutcome in the contract; null while nobody has looked into it.
    ADD COLUMN fill_outcome smallint,
    ADD COLUMN filled_time_ns bigint,
    ADD COLUMN repair_id text;

-- Packed bytes are packed already; PostgreSQL's own compression takes long to gain little.
ALTER TABLE book_batch_rows ALTER COLUMN batch SET STORAGE EXTERNAL;
ALTER TABLE frame_rows ALTER COLUMN batch SET STORAGE EXTERNAL;

SELECT cut_by_day(name, time_column) FROM (VALUES
    ('trade_rows', 'venue_time_ns'),
    ('quote_rows', 'received_time_ns'),
    ('ticker_rows', 'received_time_ns'),
    ('mark_rows', 'received_time_ns'),
    ('candle_rows', 'open_time_ns'),
    ('book_batch_rows', 'last_received_time_ns'),
    ('frame_rows', 'last_received_time_ns')
) AS tables (name, time_column);

-- What was recorded so far. Its indexes come after it, which is faster.
SELECT make_days('trade_rows', array_agg(DISTINCT venue_time_ns - venue_time_ns % day_ns()))
FROM trade_rows_before;
SELECT make_days('quote_rows', array_agg(DISTINCT received_time_ns - received_time_ns % day_ns()))
FROM quote_rows_before;
SELECT make_days(
    'book_batch_rows', array_agg(DISTINCT last_received_time_ns - last_received_time_ns % day_ns()))
FROM book_batch_rows_before;

INSERT INTO trade_rows (venue_time_ns, received_time_ns, trade_id, instrument_id, side, price, size,
    trade_id_text)
SELECT venue_time_ns, received_time_ns, trade_id, instrument_id, side, price, size, trade_id_text
FROM trade_rows_before;
INSERT INTO quote_rows (received_time_ns, venue_time_ns, sequence, instrument_id, bid_price,
    bid_size, ask_price, ask_size)
SELECT received_time_ns, venue_time_ns, sequence, instrument_id, bid_price, bid_size, ask_price,
    ask_size
FROM quote_rows_before;
INSERT INTO book_batch_rows (first_received_time_ns, last_received_time_ns, epoch, sequence,
    update_count, venue, instrument_ids, snapshot_instrument_ids, batch)
SELECT first_received_time_ns, last_received_time_ns, epoch, sequence, update_count, venue,
    instrument_ids, snapshot_instrument_ids, batch
FROM book_batch_rows_before;
DROP TABLE trade_rows_before, quote_rows_before, book_batch_rows_before;

-- Every trade once; lists and pages, which go by instrument and time, use the same index. Trades
-- with a text for an id stand in the first one with null, which is equal to nothing.
CREATE UNIQUE INDEX trade_rows_by_id ON trade_rows (instrument_id, venue_time_ns, trade_id);
CREATE UNIQUE INDEX trade_rows_by_text_id
    ON trade_rows (instrument_id, venue_time_ns, trade_id_text) WHERE trade_id_text IS NOT NULL;
-- Reading in the order of receipt. Rows come in that order, which is all that this kind of index
-- needs; it costs next to nothing.
CREATE INDEX trade_rows_by_receipt ON trade_rows
    USING brin (received_time_ns) WITH (autosummarize = on);
CREATE INDEX quote_rows_by_receipt ON quote_rows
    USING brin (received_time_ns, instrument_id) WITH (pages_per_range = 16, autosummarize = on);
CREATE INDEX ticker_rows_by_receipt ON ticker_rows (instrument_id, received_time_ns);
CREATE INDEX mark_rows_by_receipt ON mark_rows (instrument_id, received_time_ns);
ALTER TABLE candle_rows ADD PRIMARY KEY (instrument_id, interval_s, open_time_ns);
ALTER TABLE book_batch_rows ADD PRIMARY KEY (venue, epoch, sequence, last_received_time_ns);
CREATE INDEX book_batch_rows_by_receipt ON book_batch_rows (venue, last_received_time_ns);
-- The newest snapshot before a moment.
CREATE INDEX book_batch_rows_with_snapshots ON book_batch_rows (venue, last_received_time_ns)
    WHERE cardinality(snapshot_instrument_ids) > 0;
ALTER TABLE frame_rows ADD PRIMARY KEY (venue, epoch, sequence, last_received_time_ns);
CREATE INDEX frame_rows_by_receipt ON frame_rows (venue, last_received_time_ns);

-- What people read: exact numbers, and times as timestamptz.

CREATE VIEW trades AS
SELECT
    venue, symbol, trade_id, trade_id_text, price, size,
    CASE side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    venue_time_ns, received_time_ns, repair_id
FROM trade_rows JOIN instruments USING (instrument_id);

CREATE VIEW quotes AS
SELECT
    venue, symbol, bid_price, bid_size, ask_price, ask_size,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    venue_time_ns, received_time_ns, sequence
FROM quote_rows JOIN instruments USING (instrument_id);

CREATE VIEW tickers AS
SELECT
    venue, symbol, last_price, open_price, high_price, low_price, volume,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    venue_time_ns, received_time_ns
FROM ticker_rows JOIN instruments USING (instrument_id);

CREATE VIEW marks AS
SELECT
    venue, symbol, mark_price, index_price, funding_rate,
    time_of(next_funding_time_ns) AS next_funding_time,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    next_funding_time_ns, venue_time_ns, received_time_ns
FROM mark_rows JOIN instruments USING (instrument_id);

CREATE VIEW candles AS
SELECT
    venue, symbol, interval_s,
    time_of(open_time_ns) AS open_time,
    open, high, low, close, volume, closed,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    open_time_ns, venue_time_ns, received_time_ns
FROM candle_rows JOIN instruments USING (instrument_id);

CREATE VIEW book_batches AS
SELECT
    venue,
    (SELECT array_agg(symbol ORDER BY symbol) FROM instruments
        WHERE instrument_id = ANY (instrument_ids)) AS symbols,
    (SELECT array_agg(symbol ORDER BY symbol) FROM instruments
        WHERE instrument_id = ANY (snapshot_instrument_ids)) AS snapshot_symbols,
    update_count,
    time_of(first_received_time_ns) AS first_received_time,
    time_of(last_received_time_ns) AS last_received_time,
    first_received_time_ns, last_received_time_ns, epoch, sequence,
    (ARRAY['plain', 'zstd', 'book'])[codec + 1] AS codec,
    batch
FROM book_batch_rows;

CREATE VIEW frame_batches AS
SELECT
    venue, frame_count,
    time_of(first_received_time_ns) AS first_received_time,
    time_of(last_received_time_ns) AS last_received_time,
    first_received_time_ns, last_received_time_ns, epoch, sequence,
    (ARRAY['plain', 'zstd', 'book'])[codec + 1] AS codec,
    batch
FROM frame_rows;

CREATE VIEW terms AS
SELECT
    venue, symbol,
    time_of(valid_from_ns) AS valid_from,
    time_of(valid_to_ns) AS valid_to,
    (ARRAY['listed', 'delisted', 'halted', 'resumed', 'terms'])[change] AS change,
    definition, valid_from_ns, valid_to_ns
FROM instrument_terms;

CREATE VIEW gaps AS
SELECT
    venue,
    (ARRAY[
        'trades', 'quotes', 'book', 'tickers', 'marks', 'candles', 'status', 'repairs', 'frames'
    ])[channel] AS channel,
    symbol,
    (ARRAY[
        'sequence', 'checksum', 'reconnect', 'restart', 'overflow', 'venue_reset', 'out_of_order',
        'cursor_expired', 'malformed', 'crossed', 'stale'
    ])[reason] AS reason,
    last_id_before, first_id_after,
    time_of(last_time_ns) AS last_time,
    time_of(first_time_ns) AS first_time,
    time_of(detected_time_ns) AS detected_time,
    (ARRAY['complete', 'partial', 'unavailable'])[fill_outcome] AS fill_outcome,
    time_of(filled_time_ns) AS filled_time,
    repair_id, last_time_ns, first_time_ns, detected_time_ns, filled_time_ns, detail, epoch,
    sequence
FROM gap_rows;
