-- KEYS: bills by time. ARGV: from when, before when.
-- Returns each day of UTC on which there are any, and how many.
local days, from = {}, ARGV[1]
while true do
    local first = redis.call('ZRANGEBYSCORE', KEYS[1], from, '(' .. ARGV[2], 'WITHSCORES', 'LIMIT', 0, 1)
    if not first[2] then
        return days
    end
    local day = math.floor(tonumber(first[2]) / 86400000)
    local next = (day + 1) * 86400000
    local before = next < tonumber(ARGV[2]) and string.format('%.0f', next) or ARGV[2]
    days[#days + 1] = {day, redis.call('ZCOUNT', KEYS[1], from, '(' .. before)}
    from = string.format('%.0f', next)
end
