-- KEYS: all bills, the unpaid, the paid (each by time), the services, the tokens. ARGV: the prefix of a
-- bill's key, then for each event its kind, hash, token, service, msat, time and end; '' is nothing.
for i = 2, #ARGV, 7 do
    local kind, hash, token, service, msat, at, ends = unpack(ARGV, i, i + 6)
    local key = ARGV[1] .. hash
    local known = redis.call('HGET', key, 'service')
    if not known then
        known = service
        redis.call('HSET', key, 'service', service, 'issued', at)
        redis.call('ZADD', KEYS[1], at, hash)
        redis.call('ZADD', KEYS[1] .. ':of:' .. service, at, hash)
        redis.call('ZADD', KEYS[2], at, hash)
        redis.call('SADD', KEYS[4], service)
    end
    if token ~= '' and redis.call('HSETNX', key, 'token', token) == 1 then
        redis.call('HSET', KEYS[5], token, hash)
    end
    if msat ~= '' then
        redis.call('HSETNX', key, 'msat', msat)
    end
    if ends ~= '' then
        redis.call('HSETNX', key, 'expires', ends)
    end
    if kind == 'settled' and redis.call('HSETNX', key, 'settled', at) == 1 then
        redis.call('ZREM', KEYS[2], hash)
        redis.call('ZADD', KEYS[3], at, hash)
        redis.call('ZADD', KEYS[3] .. ':of:' .. known, at, hash)
    end
end
