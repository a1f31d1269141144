-- Market data as it was recorded. Times are ns since the Unix epoch; prices and sizes are exact.
--
-- The tables named ..._rows are kept small; the views trades, quotes, book_batches and gaps show
-- them in human units:
--   SELECT price FROM trades WHERE venue = 'binance' AND symbol = 'BTCUSDT'
--
-- There are no foreign keys: checking one costs more than writing the row, and the recorder makes
-- an instrument before the first row that names it.
--
-- When these tables are cut into partitions by time, every unique key has to hold that time. The
-- key of trade_rows then becomes (instrument_id, venue_time_ns, trade id): a venue sends a trade
-- with the same time each time. The views stay as they are.

-- How far each consumer of the streams has got. Moved in the same transaction as what the consumer
-- makes of the entries.
CREATE TABLE stream_positions (
    consumer text NOT NULL,
    stream text NOT NULL,
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (consumer, stream)
);

-- What was ever recorded, each (venue, native symbol) under a short number.
CREATE TABLE instruments (
    instrument_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL,
    symbol text NOT NULL,
    first_recorded_time timestamptz NOT NULL DEFAULT now(),
    UNIQUE (venue, symbol)
);

CREATE TABLE trade_rows (
    instrument_id integer NOT NULL,
    -- Side of the taker: 1 bought, 2 sold, 0 not known.
    side smallint NOT NULL,
    venue_time_ns bigint NOT NULL,
    received_time_ns bigint NOT NULL,
    -- The venue's id where that is a number, otherwise null.
    trade_id bigint,
    price numeric NOT NULL,
    size numeric NOT NULL,
    -- The venue's id where that is text, otherwise null. A trade without any id stands under its
    -- place in the stream, <epoch>-<sequence>:<row>.
    trade_id_text text,
    CHECK ((trade_id IS NULL) <> (trade_id_text IS NULL))
);
-- Every trade once.
CREATE UNIQUE INDEX trade_rows_by_id ON trade_rows (instrument_id, trade_id)
    WHERE trade_id IS NOT NULL;
CREATE UNIQUE INDEX trade_rows_by_text_id ON trade_rows (instrument_id, trade_id_text)
    WHERE trade_id_text IS NOT NULL;
-- Lists and pages, which go by time.
CREATE INDEX trade_rows_by_time ON trade_rows (instrument_id, venue_time_ns);

CREATE TABLE quote_rows (
    instrument_id integer NOT NULL,
    venue_time_ns bigint NOT NULL,
    received_time_ns bigint NOT NULL,
    -- The venue's update id, 0 where there is none.
    sequence bigint NOT NULL,
    bid_price numeric NOT NULL,
    bid_size numeric NOT NULL,
    ask_price numeric NOT NULL,
    ask_size numeric NOT NULL
);
-- Rows come in the order of their receive times, which is all that this kind of index needs.
CREATE INDEX quote_rows_by_time ON quote_rows USING brin (received_time_ns);

-- Book updates as the venue process published them: the bytes of a MarketDataBatch, which may hold
-- updates of many instruments.
CREATE TABLE book_batch_rows (
    venue text NOT NULL,
    -- The batch's cursor.
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    -- Of its updates. A batch without updates is not stored; its gaps are.
    first_received_time_ns bigint NOT NULL,
    last_received_time_ns bigint NOT NULL,
    update_count integer NOT NULL,
    -- The instruments that it has updates of, and those of them that it has snapshots of.
    instrument_ids integer[] NOT NULL,
    snapshot_instrument_ids integer[] NOT NULL,
    batch bytea NOT NULL,
    PRIMARY KEY (venue, epoch, sequence)
);
-- Columns of small numbers are packed already; PostgreSQL's own compression takes long to gain
-- little.
ALTER TABLE book_batch_rows ALTER COLUMN batch SET STORAGE EXTERNAL;
CREATE INDEX book_batch_rows_by_time ON book_batch_rows (venue, last_received_time_ns);

-- Places where events are, or may be, missing.
CREATE TABLE gap_rows (
    venue text NOT NULL,
    -- 1 trades, 2 quotes, 3 book.
    channel smallint NOT NULL,
    -- The batch that it came with.
    epoch bigint NOT NULL,
    sequence bigint NOT NULL,
    -- Its place among the gaps of that batch, from 0.
    ordinal integer NOT NULL,
    -- Null: it concerns every instrument of the channel.
    symbol text,
    -- As GapReason in the contract.
    reason integer NOT NULL,
    -- The venue's ids and times on both sides, 0 where they are not known.
    last_id_before bigint NOT NULL,
    first_id_after bigint NOT NULL,
    last_time_ns bigint NOT NULL,
    first_time_ns bigint NOT NULL,
    detected_time_ns bigint NOT NULL,
    detail text NOT NULL,
    PRIMARY KEY (venue, channel, epoch, sequence, ordinal)
);

-- The time that ns since the Unix epoch stand for, to the microsecond; null for 0, "not known".
CREATE FUNCTION time_of(ns bigint) RETURNS timestamptz
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN timestamptz 'epoch' + nullif(ns, 0) / 1000 * interval '1 microsecond';

CREATE VIEW trades AS
SELECT
    venue,
    symbol,
    trade_id,
    trade_id_text,
    price,
    size,
    CASE side WHEN 1 THEN 'buy' WHEN 2 THEN 'sell' END AS side,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    venue_time_ns,
    received_time_ns
FROM trade_rows JOIN instruments USING (instrument_id);

CREATE VIEW quotes AS
SELECT
    venue,
    symbol,
    bid_price,
    bid_size,
    ask_price,
    ask_size,
    time_of(venue_time_ns) AS venue_time,
    time_of(received_time_ns) AS received_time,
    venue_time_ns,
    received_time_ns,
    sequence
FROM quote_rows JOIN instruments USING (instrument_id);

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
    first_received_time_ns,
    last_received_time_ns,
    epoch,
    sequence,
    batch
FROM book_batch_rows;

CREATE VIEW gaps AS
SELECT
    venue,
    (ARRAY['trades', 'quotes', 'book'])[channel] AS channel,
    symbol,
    (ARRAY[
        'sequence', 'checksum', 'reconnect', 'restart', 'overflow', 'venue_reset', 'out_of_order',
        'cursor_expired', 'malformed'
    ])[reason] AS reason,
    last_id_before,
    first_id_after,
    time_of(last_time_ns) AS last_time,
    time_of(first_time_ns) AS first_time,
    time_of(detected_time_ns) AS detected_time,
    last_time_ns,
    first_time_ns,
    detected_time_ns,
    detail,
    epoch,
    sequence
FROM gap_rows;
