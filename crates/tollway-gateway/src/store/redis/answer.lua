-- KEYS: the claim. ARGV: the answer. A claim that is gone is not made again.
if redis.call('EXISTS', KEYS[1]) == 1 then
    redis.call('HSET', KEYS[1], 'answer', ARGV[1])
end
