-- Bills end, and are found by service, by token and by when they were paid: the latest first. What is
-- added up stands in the indexes, too, so that sums read nothing else.
ALTER TABLE bills ADD COLUMN expires INTEGER;
DROP INDEX bills_issued;
CREATE INDEX bills_issued ON bills (issued, hash, service);
CREATE INDEX bills_service ON bills (service, issued, hash);
CREATE INDEX bills_settled ON bills (settled, hash, service, msat) WHERE settled IS NOT NULL;
CREATE INDEX bills_sold ON bills (service, settled, hash, msat) WHERE settled IS NOT NULL;
CREATE INDEX bills_token ON bills (token) WHERE token IS NOT NULL;
