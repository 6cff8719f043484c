-- Bills end, and are found by service, by token and by when they were paid: the latest first.
ALTER TABLE bills ADD COLUMN expires INTEGER;
DROP INDEX bills_issued;
CREATE INDEX bills_issued ON bills (issued, hash);
CREATE INDEX bills_service ON bills (service, issued, hash);
CREATE INDEX bills_settled ON bills (settled, hash) WHERE settled IS NOT NULL;
-- With the amount, so that sums read nothing else.
CREATE INDEX bills_sold ON bills (service, settled, hash, msat) WHERE settled IS NOT NULL;
CREATE INDEX bills_token ON bills (token) WHERE token IS NOT NULL;
