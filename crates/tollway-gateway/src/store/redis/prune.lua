-- KEYS: all bills, the unpaid, the paid, the revoked, the tokens. ARGV: the prefix of a bill's key, now,
-- and before when unpaid and paid bills go. At most a thousand of each: nobody else is served meanwhile.
-- Returns how many bills went.
local gone = 0
for i, before in ipairs({ARGV[3], ARGV[4]}) do
    local old = redis.call('ZRANGEBYSCORE', KEYS[i + 1], '-inf', '(' .. before, 'LIMIT', 0, 1000)
    for _, hash in ipairs(old) do
        local row = redis.call('HMGET', ARGV[1] .. hash, 'service', 'token')
        if row[1] then
            redis.call('ZREM', KEYS[1] .. ':of:' .. row[1], hash)
            redis.call('ZREM', KEYS[3] .. ':of:' .. row[1], hash)
        end
        if row[2] then
            redis.call('HDEL', KEYS[5], row[2])
        end
        redis.call('DEL', ARGV[1] .. hash)
        redis.call('ZREM', KEYS[1], hash)
        redis.call('ZREM', KEYS[i + 1], hash)
        gone = gone + 1
    end
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
return gone
