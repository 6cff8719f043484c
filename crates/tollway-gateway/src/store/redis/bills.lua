-- KEYS: the bills to choose from, by time. ARGV: the prefix of a bill's key, from when, up to which time
-- and, at that time, before which hash, how many. The latest first.
local found, offset, limit = {}, 0, tonumber(ARGV[5])
local last = tonumber(ARGV[3])
repeat
    local some = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[3], ARGV[2], 'WITHSCORES',
        'LIMIT', offset, limit)
    for i = 1, #some, 2 do
        if #found < limit and (tonumber(some[i + 1]) < last or some[i] < ARGV[4]) then
            local row = redis.call('HMGET', ARGV[1] .. some[i],
                'token', 'service', 'msat', 'issued', 'expires', 'settled')
            for j = 1, 6 do
                row[j] = row[j] or ''
            end
            found[#found + 1] = {some[i], unpack(row)}
        end
    end
    offset = offset + limit
until #found >= limit or #some < 2 * limit
return found
