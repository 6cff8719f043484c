-- Bills end, and are found by service, by token and by when they were paid: the latest first. What is
-- added up stands in the indexes, too, so that sums read nothing else.
ALTER TABLE tollway_bills ADD COLUMN expires BIGINT;
DROP INDEX tollway_bills_issued;
CREATE INDEX tollway_bills_issued ON tollway_bills (issued, hash, service);
CREATE INDEX tollway_bills_service ON tollway_bills (service, issued, hash);
CREATE INDEX tollway_bills_settled ON tollway_bills (settled, hash, service, msat) WHERE settled IS NOT NULL;
CREATE INDEX tollway_bills_sold ON tollway_bills (service, settled, hash, msat) WHERE settled IS NOT NULL;
CREATE INDEX tollway_bills_token ON tollway_bills (token) WHERE token IS NOT NULL;
