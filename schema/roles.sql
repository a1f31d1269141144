-- The login roles of a mesh, each for one kind of process, without passwords. A superuser applies
-- this file once, in the database of the mesh:
--
--   psql --dbname venuemesh --file schema/roles.sql
--   psql --dbname venuemesh --command '\password venuemesh_history'     (and so on)
--
-- venuemesh_owner owns the tables and changes the schema. The others may do what grants.sql says,
-- which the owner applies after each migration. venuemesh_reader is for people and tools. The
-- embedded server has the same roles. Statements are separated by empty lines, and have none
-- after a semicolon.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['owner', 'recorder', 'bars', 'repair', 'history', 'ledger', 'audit',
        'detector', 'advisor', 'inspector', 'notifier', 'reader'] LOOP
        IF to_regrole('venuemesh_' || name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I', 'venuemesh_' || name);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN', 'venuemesh_' || name);
    END LOOP;
END $$;

ALTER ROLE venuemesh_history SET default_transaction_read_only = on;

ALTER ROLE venuemesh_reader SET default_transaction_read_only = on;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;

GRANT CREATE ON SCHEMA public TO venuemesh_owner;

-- A database that was made before there were roles. Each object in a transaction of its own: there
-- may be more of them than one transaction can lock.
DO $$
DECLARE
    statement text;
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO venuemesh_owner', current_database());
    FOR statement IN
        WITH mesh AS (
            SELECT relnamespace AS schema_oid FROM pg_class
            WHERE oid = to_regclass('schema_migrations')
        ),
        foreign_objects AS (
            SELECT objid FROM pg_depend
            WHERE deptype = 'e' OR (classid = 'pg_class'::regclass AND deptype IN ('a', 'i')
                AND refclassid = 'pg_class'::regclass AND refobjsubid > 0)
        )
        SELECT format('ALTER %s %s OWNER TO venuemesh_owner',
            CASE
                WHEN relkind = 'S' THEN 'SEQUENCE'
                -- TimescaleDB keeps a materialized view as a view.
                WHEN relkind = 'm' OR relname = 'trade_minute_rows' THEN 'MATERIALIZED VIEW'
                WHEN relkind = 'v' THEN 'VIEW'
                ELSE 'TABLE'
            END, oid::regclass)
        FROM pg_class JOIN mesh ON relnamespace = schema_oid
        WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relowner <> to_regrole('venuemesh_owner')
            AND (relkind <> 'S' OR oid NOT IN (SELECT objid FROM foreign_objects))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO venuemesh_owner', oid::regprocedure)
        FROM pg_proc JOIN mesh ON pronamespace = schema_oid
        WHERE proowner <> to_regrole('venuemesh_owner')
            AND oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
    LOOP
        EXECUTE statement;
        COMMIT;
    END LOOP;
END $$;
