-- With TimescaleDB: drop the parts of a table whose rows all lie before a time. A function, because
-- only the owner of a table may drop a part of it (see grants.sql).
CREATE FUNCTION drop_chunks_before(name text, before_ns bigint) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM drop_chunks(name::regclass, older_than => before_ns);
END $$;
