-- KEYS: all bills. ARGV: the prefix of a bill's key, before when, how many.
local found = {}
local latest = redis.call('ZREVRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '-inf', 'LIMIT', 0, ARGV[3])
for i, hash in ipairs(latest) do
    local row = redis.call('HMGET', ARGV[1] .. hash, 'token', 'service', 'msat', 'issued', 'settled')
    for j = 1, 5 do
        row[j] = row[j] or ''
    end
    found[i] = {hash, unpack(row)}
end
return found
