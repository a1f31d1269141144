-- How long rows are kept, how they are packed where TimescaleDB is, and minutes that the database
-- itself makes of the trades, to check our bars against.

-- The oldest partition whose rows all lie before a time is dropped. Returns the start of its day,
-- null when there is none or somebody has been reading the table for longer than lock_timeout.
--
-- A partition can only be dropped while nobody reads or writes any other, so one at a time goes,
-- and whoever waits does so for an instant.
CREATE FUNCTION drop_oldest_day(name text, before_ns bigint) RETURNS bigint
    LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    oldest record;
BEGIN
    SELECT * INTO oldest FROM (
        SELECT
            relname AS child,
            ns_of(right(relname, 8)::date::timestamp AT TIME ZONE 'UTC') AS start_ns
        FROM pg_inherits JOIN pg_class ON inhrelid = pg_class.oid
        WHERE inhparent = to_regclass(name) AND relname ~ ('^' || name || '_\d{8}$')
    ) AS days
    WHERE start_ns + day_ns() <= before_ns ORDER BY start_ns LIMIT 1;
    IF oldest.child IS NOT NULL THEN
        EXECUTE format('DROP TABLE %I', oldest.child);
    END IF;
    RETURN oldest.start_ns;
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END $$;

-- When a row was received.
CREATE FUNCTION receipt_column(name text) RETURNS text
    LANGUAGE sql STABLE
    RETURN (SELECT CASE WHEN name IN ('trade_rows', 'candle_rows') THEN 'received_time_ns'
        ELSE time_column END FROM storage_tables WHERE table_name = name);

-- Rows of <table>_other that are old by their own time and were received that long ago too. Returns
-- how many went.
CREATE FUNCTION drop_other_rows(name text, before_ns bigint) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    dropped bigint;
BEGIN
    EXECUTE format('DELETE FROM %I WHERE greatest(%I, %I) < $1', name || '_other',
        (SELECT time_column FROM storage_tables WHERE table_name = name), receipt_column(name))
    USING before_ns;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END $$;

-- Days of rows in <table>_other that can have a partition now, at most so many.
CREATE FUNCTION days_of_other_rows(name text, days_max integer) RETURNS bigint[]
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    found bigint[];
BEGIN
    EXECUTE format(
        'SELECT array_agg(start_ns) FROM (SELECT DISTINCT %1$I - %1$I %% day_ns() AS start_ns'
        ' FROM %2$I WHERE %1$I >= ns_of(''2009-01-01Z'') AND %1$I < now_ns() + 2 * day_ns()'
        ' ORDER BY start_ns DESC LIMIT $1) AS days',
        (SELECT time_column FROM storage_tables WHERE table_name = name), name || '_other')
    INTO found USING days_max;
    RETURN found;
END $$;

-- Whether TimescaleDB does more here than cut: packs, and drops and refreshes by itself. Its
-- edition without that is complete otherwise.
CREATE FUNCTION has_policies() RETURNS boolean
    LANGUAGE sql STABLE
    RETURN coalesce(current_setting('timescaledb.license', true) = 'timescale', false)
        AND NOT is_native('trade_rows');

-- Let TimescaleDB do something with the parts of a table that are older than this; 0 is never.
-- Kinds are "retention" (drop) and "columnstore" (pack).
CREATE FUNCTION set_policy(name text, kind text, after_ns bigint) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    now_after_ns bigint := (
        SELECT coalesce(config ->> 'drop_after', config ->> 'compress_after')::bigint
        FROM timescaledb_information.jobs
        WHERE hypertable_name = name
            AND proc_name = CASE kind WHEN 'retention' THEN 'policy_retention'
                ELSE 'policy_compression' END
    );
BEGIN
    IF coalesce(now_after_ns, 0) = after_ns THEN
        RETURN;
    ELSIF kind = 'retention' THEN
        PERFORM remove_retention_policy(name::regclass, if_exists => true);
        IF after_ns > 0 THEN
            PERFORM add_retention_policy(name::regclass, drop_after => after_ns);
        END IF;
    ELSE
        CALL remove_columnstore_policy(name::regclass, if_exists => true);
        IF after_ns > 0 THEN
            CALL add_columnstore_policy(name::regclass, after => after_ns);
        END IF;
    END IF;
END $$;

-- Every day of every table, with its bytes on disk, indexes included, and whether it is packed.
-- start_ns is null for <table>_other.
CREATE FUNCTION list_days()
    RETURNS TABLE (table_name text, start_ns bigint, total_bytes bigint, packed boolean)
    LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF is_native('trade_rows') THEN
        RETURN QUERY
        SELECT
            parents.table_name,
            CASE WHEN relname !~ '_other$'
                THEN ns_of(right(relname, 8)::date::timestamp AT TIME ZONE 'UTC') END,
            pg_total_relation_size(pg_class.oid),
            false
        FROM storage_tables AS parents
        JOIN pg_inherits ON inhparent = to_regclass(parents.table_name)
        JOIN pg_class ON inhrelid = pg_class.oid;
    ELSE
        RETURN QUERY
        SELECT
            parents.table_name, range_start_integer, sizes.total_bytes, is_compressed
        FROM storage_tables AS parents
        CROSS JOIN LATERAL chunks_detailed_size(parents.table_name::regclass) AS sizes
        JOIN timescaledb_information.chunks USING (chunk_schema, chunk_name);
    END IF;
END $$;

CREATE VIEW storage_days AS
SELECT
    table_name, time_of(start_ns)::date AS day, pg_size_pretty(total_bytes) AS size, packed,
    start_ns, total_bytes
FROM list_days();

-- With TimescaleDB: packed by columns, those of an instrument together; and the minutes kept up to
-- date. Batches are packed already. Without: the minutes are made when they are asked for.
DO $$
DECLARE
    minutes text :=
        'SELECT %s, %s AS open_time_ns,'
        ' %s AS open, max(price) AS high, min(price) AS low, %s AS close, sum(size) AS volume,'
        ' coalesce(sum(size) FILTER (WHERE side = 1), 0) AS buy_volume,'
        ' sum(price * size) AS quote_volume, count(*) AS trade_count,'
        ' count(trade_id) AS numbered_count FROM trade_rows';
    -- The order of trades that a venue numbers.
    place text := 'venue_time_ns::numeric * 18446744073709551616 + coalesce(trade_id, 0)';
    source text := 'trade_minute_rows JOIN instruments USING (instrument_id)';
    tables text[] := '{trade_rows, quote_rows, ticker_rows, mark_rows}';
BEGIN
    IF has_policies() THEN
        FOR number IN 1 .. cardinality(tables) LOOP
            EXECUTE format('ALTER TABLE %I SET (timescaledb.enable_columnstore,'
                ' timescaledb.segmentby = ''instrument_id'', timescaledb.orderby = %L)',
                tables[number],
                CASE number WHEN 1 THEN 'venue_time_ns, trade_id' ELSE 'received_time_ns' END);
        END LOOP;
        EXECUTE 'CREATE MATERIALIZED VIEW trade_minute_rows'
            ' WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS '
            || format(minutes, 'instrument_id', 'time_bucket(60000000000::bigint, venue_time_ns)',
                format('first(price, %s)', place), format('last(price, %s)', place))
            || ' GROUP BY 1, 2 WITH NO DATA';
        PERFORM add_continuous_aggregate_policy('trade_minute_rows', start_offset => NULL::bigint,
            end_offset => 120000000000::bigint, schedule_interval => interval '1 minute');
    ELSE
        source := '(' || format(minutes, 'venue, symbol',
            'venue_time_ns - venue_time_ns % 60000000000',
            '(array_agg(price ORDER BY venue_time_ns, trade_id))[1]',
            '(array_agg(price ORDER BY venue_time_ns DESC, trade_id DESC))[1]')
            || ' JOIN instruments USING (instrument_id) GROUP BY 1, 2, 3) AS minutes';
    END IF;
    EXECUTE 'CREATE VIEW trade_minutes AS SELECT venue, symbol,'
        ' time_of(open_time_ns) AS open_time, open, high, low, close, volume, buy_volume,'
        ' quote_volume, trade_count, open_time_ns, numbered_count FROM ' || source;
END $$;

-- Minutes whose bar is not what the trades in the database make. Empty when all is well; a bar that
-- is not final may lag behind its trades. Of trades without numbers at one time, which was first is
-- not known here, so their open and close are not compared.
CREATE VIEW bar_differences AS
SELECT
    venue, symbol, time_of(open_time_ns) AS open_time, final,
    bars.open, minutes.open AS trades_open,
    bars.high, minutes.high AS trades_high,
    bars.low, minutes.low AS trades_low,
    bars.close, minutes.close AS trades_close,
    bars.volume, minutes.volume AS trades_volume,
    bars.trade_count, minutes.trade_count AS trades_count,
    open_time_ns
FROM bars LEFT JOIN trade_minutes AS minutes USING (venue, symbol, open_time_ns)
WHERE interval = '1m' AND (
    (bars.high, bars.low, bars.volume, bars.buy_volume, bars.quote_volume, bars.trade_count)
        IS DISTINCT FROM (minutes.high, minutes.low, minutes.volume, minutes.buy_volume,
            minutes.quote_volume, minutes.trade_count)
    OR (numbered_count = minutes.trade_count
        AND (bars.open, bars.close) IS DISTINCT FROM (minutes.open, minutes.close)))
UNION ALL
SELECT
    venue, symbol, open_time, NULL, NULL, open, NULL, high, NULL, low, NULL, close, NULL, volume,
    NULL, trade_count, open_time_ns
FROM trade_minutes AS minutes
WHERE NOT EXISTS (
    SELECT FROM bars
    WHERE bars.venue = minutes.venue AND bars.symbol = minutes.symbol AND interval = '1m'
        AND bars.open_time_ns = minutes.open_time_ns);
