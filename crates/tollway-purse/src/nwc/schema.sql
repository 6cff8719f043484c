-- Who may use the wallet. A connection that was revoked stays, for the books.
CREATE TABLE connection (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    -- The application's public key, and our own secret key towards it.
    client TEXT NOT NULL UNIQUE,
    secret TEXT NOT NULL,
    relays TEXT NOT NULL,
    -- No budget, no limit.
    budget_msat INTEGER,
    period TEXT NOT NULL,
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE UNIQUE INDEX connection_name ON connection (name) WHERE revoked IS NULL;
-- Every payment that was ever ordered. `held` is written before the node is told.
CREATE TABLE payment (
    hash TEXT PRIMARY KEY,
    connection INTEGER NOT NULL REFERENCES connection (id),
    request TEXT NOT NULL,
    invoice TEXT NOT NULL,
    amount_msat INTEGER NOT NULL,
    max_fee_msat INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('held', 'paid', 'not_paid')),
    fee_msat INTEGER,
    created INTEGER NOT NULL,
    ended INTEGER
) STRICT;
CREATE INDEX payment_connection ON payment (connection, created);
-- Requests to pay that were taken: each is carried out once.
CREATE TABLE request (
    id TEXT PRIMARY KEY,
    seen INTEGER NOT NULL
) STRICT;
CREATE TABLE invoice (
    hash TEXT PRIMARY KEY,
    connection INTEGER NOT NULL REFERENCES connection (id),
    invoice TEXT NOT NULL,
    amount_msat INTEGER NOT NULL,
    memo TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    settled INTEGER
) STRICT;
CREATE INDEX invoice_connection ON invoice (connection, created);
