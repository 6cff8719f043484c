-- KEYS: the claim. ARGV: now, until, request ('' when it has none).
-- Returns nothing when the claim is the caller's, else whose it is and the answer, if there is one.
local row = redis.call('HMGET', KEYS[1], 'until', 'request', 'answer')
if row[1] and tonumber(row[1]) > tonumber(ARGV[1]) then
    return {row[2], row[3]}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'until', ARGV[2], 'request', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
return false
