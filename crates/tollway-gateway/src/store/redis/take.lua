-- KEYS: counters. ARGV: now, then each counter's limit and until (0: never).
-- All of it or none of it: nobody else is served while a script runs.
local now = tonumber(ARGV[1])
local used, ends = {}, {}
for i, key in ipairs(KEYS) do
    local row = redis.call('HMGET', key, 'used', 'until')
    local live = row[1] and (row[2] == '0' or tonumber(row[2]) > now)
    used[i] = live and tonumber(row[1]) or 0
    ends[i] = live and row[2] or ARGV[2 * i + 1]
    if used[i] >= tonumber(ARGV[2 * i]) then
        return 0
    end
end
for i, key in ipairs(KEYS) do
    redis.call('HSET', key, 'used', used[i] + 1, 'until', ends[i])
    if ends[i] == '0' then
        redis.call('PERSIST', key)
    else
        redis.call('PEXPIREAT', key, ends[i])
    end
end
return 1
