-- KEYS: all bills, the unpaid, the paid, the revoked. ARGV: the prefix of a bill's key, now, and
-- before when unpaid and paid bills go. At most a thousand of each: nobody else is served meanwhile.
-- Returns how many bills went.
local gone = 0
for i, before in ipairs({ARGV[3], ARGV[4]}) do
    local old = redis.call('ZRANGEBYSCORE', KEYS[i + 1], '-inf', '(' .. before, 'LIMIT', 0, 1000)
    for _, hash in ipairs(old) do
        redis.call('DEL', ARGV[1] .. hash)
        redis.call('ZREM', KEYS[1], hash)
        redis.call('ZREM', KEYS[i + 1], hash)
        gone = gone + 1
    end
end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[2])
return gone
