-- KEYS: all bills, the paid, the services, the tokens. ARGV: the prefix of a bill's key, where to begin
-- and end. What layout 1 kept is found by service and by token, too. Returns how many were looked at.
local some = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3])
for _, hash in ipairs(some) do
    local row = redis.call('HMGET', ARGV[1] .. hash, 'service', 'token', 'issued', 'settled')
    if row[1] then
        redis.call('SADD', KEYS[3], row[1])
        redis.call('ZADD', KEYS[1] .. ':of:' .. row[1], row[3], hash)
        if row[2] then
            redis.call('HSET', KEYS[4], row[2], hash)
        end
        if row[4] then
            redis.call('ZADD', KEYS[2] .. ':of:' .. row[1], row[4], hash)
        end
    end
end
return #some
