"""SQL statements that move staged rows into the record."""

DAY_NS = 86_400 * 10**9
RUN_TRADES_MIN = 100
"""A shorter run of consecutive ids proves little."""

STAGE_TRADES = b"""
    CREATE TEMPORARY TABLE staged (
        trade_id bigint, trade_id_text text, price numeric, size numeric, side smallint,
        venue_time_ns bigint, received_time_ns bigint, first_id bigint, last_id bigint,
        is_new boolean NOT NULL DEFAULT false)
"""
STAGE_CANDLES = b"""
    CREATE TEMPORARY TABLE staged (
        open_time_ns bigint, open numeric, high numeric, low numeric, close numeric,
        volume numeric, close_time_ns bigint, interval_s integer)
"""
CONTRADICTION = b"""
    SELECT coalesce(trade_id::text, trade_id_text) FROM staged GROUP BY 1
    HAVING count(*) > 1
        AND count(DISTINCT (venue_time_ns, price, size, side, first_id, last_id)) > 1
    LIMIT 1
"""
# A day has either trades or aggregates of them: both together would count twice.
LEAVE_OUT_DAYS = f"""
    DELETE FROM staged WHERE venue_time_ns / {DAY_NS} IN (
        SELECT day FROM (SELECT DISTINCT venue_time_ns / {DAY_NS} AS day FROM staged) AS days
        WHERE EXISTS (
            SELECT FROM trade_rows WHERE instrument_id = %(instrument_id)s
                AND venue_time_ns >= day * {DAY_NS} AND venue_time_ns < (day + 1) * {DAY_NS}
                AND (coalesce(trade_id_text, '') LIKE 'aggregate:%%') = %(of_aggregates)s))
""".encode()
DISTINCT = b"SELECT count(DISTINCT coalesce(trade_id::text, trade_id_text)) FROM staged"

# The same trade, even if its time has fewer digits in one of the two sources.
_SAME = """
    known.instrument_id = %(instrument_id)s
    AND known.venue_time_ns >= (SELECT min(venue_time_ns) - 1000000 FROM staged)
    AND known.venue_time_ns <= (SELECT max(venue_time_ns) + 1000000 FROM staged)
    AND known.venue_time_ns >= new.venue_time_ns / 1000000 * 1000000
    AND known.venue_time_ns < new.venue_time_ns / 1000000 * 1000000 + 1000000
    AND (known.trade_id = new.trade_id OR known.trade_id_text = new.trade_id_text)
"""
_NEW = """
    (SELECT DISTINCT ON (trade_id, trade_id_text) * FROM staged
        ORDER BY trade_id, trade_id_text) AS new
"""
DIFFERING = f"""
    SELECT count(*) FROM {_NEW} JOIN trade_rows AS known ON {_SAME}
    WHERE (known.price, known.size, known.side) <> (new.price, new.size, new.side)
""".encode()
ADD_TRADES = f"""
    WITH added AS (
        INSERT INTO trade_rows (instrument_id, venue_time_ns, received_time_ns, trade_id,
            trade_id_text, side, price, size)
        SELECT %(instrument_id)s, venue_time_ns, received_time_ns, trade_id, trade_id_text, side,
            price, size
        FROM {_NEW}
        WHERE NOT EXISTS (SELECT FROM trade_rows AS known WHERE {_SAME})
        ORDER BY venue_time_ns, trade_id
        ON CONFLICT DO NOTHING
        RETURNING venue_time_ns, trade_id, trade_id_text),
    chosen AS (
        SELECT min(staged.ctid) AS place FROM staged JOIN added ON
            (staged.venue_time_ns, coalesce(staged.trade_id::text, staged.trade_id_text)) =
            (added.venue_time_ns, coalesce(added.trade_id::text, added.trade_id_text))
        GROUP BY added.venue_time_ns, added.trade_id, added.trade_id_text)
    UPDATE staged SET is_new = true FROM chosen WHERE staged.ctid = chosen.place
""".encode()
# For each run of consecutive ids, the part on each day. A run continues over midnight.
NOTE_SPANS = f"""
    WITH ordered AS (
        SELECT first_id, last_id, min(venue_time_ns) AS time_ns, bool_or(is_new) AS is_new
        FROM staged WHERE first_id IS NOT NULL GROUP BY first_id, last_id),
    marked AS (
        SELECT *, (first_id = lag(last_id) OVER (ORDER BY first_id) + 1) IS NOT TRUE AS begins
        FROM ordered),
    numbered AS (
        SELECT *, time_ns / {DAY_NS} AS day,
            count(*) FILTER (WHERE begins) OVER (ORDER BY first_id) AS run
        FROM marked),
    parts AS (
        SELECT run, day, min(time_ns) AS first_ns, max(time_ns) AS last_ns,
            min(first_id) AS first_id, max(last_id) AS last_id, count(*) AS row_count,
            count(*) FILTER (WHERE is_new) AS trade_count
        FROM numbered GROUP BY run, day),
    whole AS (
        SELECT *, min(day) OVER same AS first_day, max(day) OVER same AS last_day,
            sum(row_count) OVER same AS run_count
        FROM parts WINDOW same AS (PARTITION BY run))
    INSERT INTO imported_spans (instrument_id, start_time_ns, end_time_ns, first_trade_id,
        last_trade_id, trade_count, file_name)
    SELECT %(instrument_id)s,
        CASE WHEN day = first_day THEN first_ns ELSE day * {DAY_NS} END,
        CASE WHEN day = last_day THEN last_ns + 1 ELSE (day + 1) * {DAY_NS} END,
        first_id, last_id, trade_count, %(file_name)s
    FROM whole WHERE run_count >= {RUN_TRADES_MIN}
    ON CONFLICT DO NOTHING
""".encode()

CANDLE_CONTRADICTION = b"""
    SELECT open_time_ns FROM staged GROUP BY 1
    HAVING count(DISTINCT (open, high, low, close, volume)) > 1 LIMIT 1
"""
CANDLE_DISTINCT = b"SELECT count(DISTINCT open_time_ns) FROM staged"
# A candle that the venue marked final stays.
ADD_CANDLES = b"""
    INSERT INTO candle_rows AS known (instrument_id, interval_s, open_time_ns, open, high, low,
        close, volume, closed, venue_time_ns, received_time_ns)
    SELECT DISTINCT ON (open_time_ns) %(instrument_id)s, interval_s, open_time_ns, open, high, low,
        close, volume, true, close_time_ns, close_time_ns
    FROM staged
    ON CONFLICT (instrument_id, interval_s, open_time_ns) DO UPDATE
        SET (open, high, low, close, volume, closed, venue_time_ns, received_time_ns) =
            (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume,
            excluded.closed, excluded.venue_time_ns, excluded.received_time_ns)
        WHERE NOT known.closed
"""
