-- KEYS: counters.
for _, key in ipairs(KEYS) do
    if tonumber(redis.call('HGET', key, 'used') or 0) > 0 then
        redis.call('HINCRBY', key, 'used', -1)
    end
end
