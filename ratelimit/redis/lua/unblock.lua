-- Lifts a block, and forgets what led to it. Returns 1 if it was in force.
-- KEYS: blocks, their ends, their version, the client's errors. ARGV: the client's key.
redis.call('DEL', KEYS[4])
local last = redis.call('HGET', KEYS[1], ARGV[1])
if not last then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('INCR', KEYS[3])
redis.call('PEXPIRE', KEYS[3], 172800000)
if tonumber(last:match('^%d+ (%d+)')) > now then return 1 end
return 0
