-- What venue, ledger and inspector say of each account, as they were compared last.

CREATE TABLE inspector_reconciliations (
    venue text NOT NULL,
    account text NOT NULL,
    compared_time_ns bigint NOT NULL,
    agreed_time_ns bigint NOT NULL,     -- when everything was readable and agreed; 0: never
    unreadable text NOT NULL,           -- why a part was not compared; '': all was
    differences bytea NOT NULL,         -- all, as a venuemesh.events.v1.ReconciliationChanged
    changes bigint NOT NULL,            -- how often the lasting ones have changed
    PRIMARY KEY (venue, account)
);
