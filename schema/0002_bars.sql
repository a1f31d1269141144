-- Bars as the bar aggregator makes them, exact, in human units. A bar exists only where a trade
-- happened. Times are ns since the Unix epoch, at the venue.
CREATE TABLE bars (
    venue text NOT NULL,
    symbol text NOT NULL,
    -- 1s 5s 15s 1m 5m 15m 30m 1h 4h 1d 1w
    interval text NOT NULL,
    open_time_ns bigint NOT NULL,
    open numeric NOT NULL,
    high numeric NOT NULL,
    low numeric NOT NULL,
    close numeric NOT NULL,
    volume numeric NOT NULL,
    buy_volume numeric NOT NULL,
    -- Sum of price times size.
    quote_volume numeric NOT NULL,
    trade_count bigint NOT NULL,
    -- The part of the interval that was watched without a gap.
    covered_ns bigint NOT NULL,
    -- Number of trades that came after the bar was final.
    revision integer NOT NULL,
    final boolean NOT NULL,
    -- The trades that open and close the bar, so that a late one finds its place.
    first_time_ns bigint NOT NULL,
    first_trade_id bigint NOT NULL,
    last_time_ns bigint NOT NULL,
    last_trade_id bigint NOT NULL,
    PRIMARY KEY (venue, symbol, interval, open_time_ns)
)
-- An open bar is written several times a second; room in its page keeps the index from growing.
WITH (fillfactor = 70);

-- What the bar aggregator knows of an instrument, as of its stream position.
CREATE TABLE bar_instruments (
    venue text NOT NULL,
    symbol text NOT NULL,
    -- The most decimal places that its prices and sizes have had.
    price_scale integer NOT NULL,
    size_scale integer NOT NULL,
    -- Times of its earliest and latest trade.
    since_time_ns bigint NOT NULL,
    newest_time_ns bigint NOT NULL,
    -- Trade ids that have been counted: [[first, last], …], ascending; below the floor all count.
    trade_ids jsonb NOT NULL,
    trade_ids_floor bigint,
    -- Where trades may be missing:
    -- [[start_ns, end_ns or null, id before or 0, id after or 0, whole channel], …]
    holes jsonb NOT NULL,
    PRIMARY KEY (venue, symbol)
);

-- How far the time of a venue's trades has got, as of the stream position.
CREATE TABLE bar_venues (
    venue text PRIMARY KEY,
    newest_time_ns bigint NOT NULL
);
