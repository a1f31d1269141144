-- What each role of roles.sql may do with the tables, and nothing else: rights that are not listed
-- here are taken away. The owner applies this file after each migration. A role that the server
-- does not have is skipped, so that a mesh with one role for everything needs none of them.

DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        WITH roles AS (
            SELECT oid, rolname AS role FROM pg_roles
            WHERE rolname IN ('venuemesh_recorder', 'venuemesh_bars', 'venuemesh_repair',
                'venuemesh_history', 'venuemesh_ledger', 'venuemesh_audit', 'venuemesh_advisor',
                'venuemesh_detector', 'venuemesh_inspector', 'venuemesh_notifier',
                'venuemesh_reader')
        ),
        relations AS (
            SELECT oid, relname, relacl FROM pg_class
            WHERE relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition
                AND relnamespace = current_schema()::regnamespace
                AND pg_has_role(relowner, 'USAGE')
        ),
        writes (role, names, rights) AS (VALUES
            ('venuemesh_recorder', ARRAY['trade_rows', 'quote_rows', 'book_batch_rows',
                'frame_rows', 'ticker_rows', 'mark_rows', 'instruments'], ARRAY['INSERT']),
            ('venuemesh_recorder', ARRAY['candle_rows', 'gap_rows', 'instrument_terms',
                'stream_positions', 'leases'], ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_bars', ARRAY['bars'], ARRAY['INSERT', 'UPDATE', 'DELETE']),
            ('venuemesh_bars', ARRAY['bar_revisions'], ARRAY['INSERT']),
            ('venuemesh_bars', ARRAY['bar_positions', 'bar_instruments', 'leases'],
                ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_repair', ARRAY['candle_rows'], ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_repair', ARRAY['holes', 'repair_jobs', 'hole_scans', 'bar_checks',
                'quality_rows'], ARRAY['INSERT', 'UPDATE', 'DELETE']),
            ('venuemesh_repair', ARRAY['leases'], ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_ledger', ARRAY['ledger_groups', 'ledger_entries', 'ledger_contracts',
                'ledger_position_changes'], ARRAY['INSERT']),
            ('venuemesh_ledger', ARRAY['ledger_head'], ARRAY['UPDATE']),
            ('venuemesh_ledger', ARRAY['ledger_accounts', 'ledger_positions', 'ledger_holds'],
                ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_ledger', ARRAY['ledger_position_states'], ARRAY['INSERT', 'DELETE']),
            ('venuemesh_ledger', ARRAY['execution_intakes'], ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_audit', ARRAY['audit_leaves', 'audit_nodes', 'audit_checkpoints'],
                ARRAY['INSERT']),
            ('venuemesh_detector', ARRAY['detector_instances', 'detector_positions',
                'detector_strategies'], ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_detector', ARRAY['detector_runs', 'detector_seen_positions'],
                ARRAY['INSERT']),
            ('venuemesh_advisor', ARRAY['advisor_open_outcomes'], ARRAY['INSERT', 'DELETE']),
            ('venuemesh_advisor', ARRAY['advisor_model_spending', 'advisor_calibrations',
                'advisor_scoring_models'],
                ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_inspector', ARRAY['inspector_modes', 'inspector_positions',
                'inspector_submissions', 'inspector_orders', 'inspector_reductions',
                'inspector_fences', 'inspector_entries', 'inspector_terms',
                'inspector_equity_marks', 'inspector_reconciliations',
                'inspector_protections', 'inspector_proposals',
                'inspector_legacy_positions'],
                ARRAY['INSERT', 'UPDATE']),
            ('venuemesh_inspector', ARRAY['inspector_mode_rules'],
                ARRAY['INSERT', 'UPDATE', 'DELETE']),
            ('venuemesh_inspector', ARRAY['inspector_fills', 'inspector_requests'],
                ARRAY['INSERT']),
            ('venuemesh_notifier', ARRAY['event_positions'], ARRAY['INSERT', 'UPDATE'])
            -- What every service that makes events may do.
            UNION ALL
            SELECT role, names, rights
            FROM unnest(ARRAY['venuemesh_ledger', 'venuemesh_audit', 'venuemesh_advisor',
                'venuemesh_detector', 'venuemesh_inspector']) AS role
            CROSS JOIN (VALUES
                (ARRAY['events'], ARRAY['INSERT']),
                (ARRAY['event_streams'], ARRAY['UPDATE']),
                (ARRAY['event_positions', 'leases'], ARRAY['INSERT', 'UPDATE'])
            ) AS events (names, rights)
        ),
        wanted AS (
            SELECT roles.oid AS role_oid, relations.oid, 'SELECT' AS right_name
            FROM roles CROSS JOIN relations
            UNION
            SELECT roles.oid, relations.oid, right_name
            FROM writes JOIN roles USING (role)
            JOIN relations ON relname = ANY (names) CROSS JOIN unnest(rights) AS right_name
        ),
        present AS (
            SELECT grantee AS role_oid, relations.oid, privilege_type AS right_name
            FROM relations CROSS JOIN LATERAL aclexplode(relacl)
            WHERE grantee IN (SELECT oid FROM roles)
        )
        (SELECT format('REVOKE %s ON %s FROM %s', right_name, oid::regclass, role_oid::regrole)
            FROM (TABLE present EXCEPT TABLE wanted) AS surplus)
        UNION ALL
        (SELECT format('GRANT %s ON %s TO %s', right_name, oid::regclass, role_oid::regrole)
            FROM (TABLE wanted EXCEPT TABLE present) AS missing)
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;

-- Partitions are made and dropped by functions that run with the rights of their owner: whoever
-- may execute them needs no others. They find tables in the schema of the mesh only.
DO $$
DECLARE
    path text := (SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false))
        AS name);
    found record;
    statement text;
BEGIN
    FOR found IN
        SELECT pg_proc.oid::regprocedure AS signature, proname, prosecdef, roles
        FROM (VALUES
            ('make_days', ARRAY['venuemesh_recorder', 'venuemesh_repair']),
            ('days_of_other_rows', ARRAY['venuemesh_recorder']),
            ('drop_oldest_day', ARRAY['venuemesh_recorder']),
            ('drop_other_rows', ARRAY['venuemesh_recorder']),
            ('drop_chunks_before', ARRAY['venuemesh_recorder']),
            ('set_policy', ARRAY['venuemesh_recorder'])
        ) AS functions (proname, roles) JOIN pg_proc USING (proname)
        WHERE pronamespace = current_schema()::regnamespace AND pg_has_role(proowner, 'USAGE')
    LOOP
        IF NOT found.prosecdef THEN
            EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = %s, pg_temp',
                found.signature, path);
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', found.signature);
        END IF;
        FOR statement IN
            SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', found.signature, rolname)
            FROM pg_roles
            WHERE rolname = ANY (found.roles)
                AND NOT has_function_privilege(pg_roles.oid, found.signature, 'EXECUTE')
        LOOP
            EXECUTE statement;
        END LOOP;
    END LOOP;
END $$;
