-- Times are milliseconds since 1970; the largest integer is never.
CREATE TABLE tollway_uses (
    key BYTEA PRIMARY KEY,
    used BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX tollway_uses_until ON tollway_uses (until);

CREATE TABLE tollway_claims (
    hash BYTEA PRIMARY KEY,
    request BYTEA,
    answer BYTEA,
    until BIGINT NOT NULL
);
CREATE INDEX tollway_claims_until ON tollway_claims (until);

CREATE TABLE tollway_revoked (
    token BYTEA PRIMARY KEY,
    until BIGINT NOT NULL
);

CREATE TABLE tollway_bills (
    hash BYTEA PRIMARY KEY,
    token BYTEA,
    service TEXT NOT NULL,
    msat BIGINT,
    issued BIGINT NOT NULL,
    settled BIGINT
);
CREATE INDEX tollway_bills_issued ON tollway_bills (issued);
