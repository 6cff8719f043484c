-- Times are milliseconds since 1970; the largest integer is never.
CREATE TABLE uses (
    key BLOB PRIMARY KEY,
    used INTEGER NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX uses_until ON uses (until);

CREATE TABLE claims (
    hash BLOB PRIMARY KEY,
    request BLOB,
    answer BLOB,
    until INTEGER NOT NULL
) STRICT;
CREATE INDEX claims_until ON claims (until);

CREATE TABLE revoked (
    token BLOB PRIMARY KEY,
    until INTEGER NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE bills (
    hash BLOB PRIMARY KEY,
    token BLOB,
    service TEXT NOT NULL,
    msat INTEGER,
    issued INTEGER NOT NULL,
    settled INTEGER
) STRICT;
CREATE INDEX bills_issued ON bills (issued);
