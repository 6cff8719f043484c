-- KEYS: all bills, the unpaid, the paid (each by time). ARGV: the prefix of a bill's key, then for
-- each event its kind, hash, token, service, msat and time; '' is nothing.
for i = 2, #ARGV, 6 do
    local kind, hash, token, service, msat, at = unpack(ARGV, i, i + 5)
    local key = ARGV[1] .. hash
    local known = redis.call('EXISTS', key) == 1
    if not known then
        redis.call('HSET', key, 'service', service, 'issued', at)
        redis.call('ZADD', KEYS[1], at, hash)
        redis.call('ZADD', KEYS[2], at, hash)
    end
    if token ~= '' then
        redis.call('HSETNX', key, 'token', token)
    end
    if msat ~= '' then
        redis.call('HSETNX', key, 'msat', msat)
    end
    if kind == 'settled' and redis.call('HSETNX', key, 'settled', at) == 1 then
        redis.call('ZREM', KEYS[2], hash)
        redis.call('ZADD', KEYS[3], at, hash)
    end
end
