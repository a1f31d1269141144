-- Under which id another store knows this ledger: see docs/LEDGER.md, TigerBeetle.
ALTER TABLE ledger_head ADD COLUMN ledger_id uuid NOT NULL DEFAULT gen_random_uuid();
