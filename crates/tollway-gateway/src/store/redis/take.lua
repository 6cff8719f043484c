-- KEYS: counters. ARGV: now, until (0: never), then each counter's limit.
-- All of it or none of it: nobody else is served while a script runs.
local now, never = tonumber(ARGV[1]), ARGV[2] == '0'
local used = {}
for i, key in ipairs(KEYS) do
    local row = redis.call('HMGET', key, 'used', 'until')
    local live = row[1] and (row[2] == '0' or tonumber(row[2]) > now)
    used[i] = live and tonumber(row[1]) or 0
    if used[i] >= tonumber(ARGV[i + 2]) then
        return 0
    end
end
for i, key in ipairs(KEYS) do
    redis.call('HSET', key, 'used', used[i] + 1, 'until', ARGV[2])
    if never then
        redis.call('PERSIST', key)
    else
        redis.call('PEXPIREAT', key, ARGV[2])
    end
end
return 1
