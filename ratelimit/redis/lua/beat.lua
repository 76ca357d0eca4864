-- Says that a gateway lives, and renews its leases.
--
-- KEYS: gateways, the version of the blocks, leases, and for each lease those of whom
-- it counts under. ARGV: the gateway, a lease's length, and each lease. Returns how
-- many gateways live, the version, and 1 if this one was known to live.
local length = tonumber(ARGV[2])
local function hold(key, member)
  redis.call('ZADD', key, whole(now + length), member)
  redis.call('PEXPIRE', key, math.ceil(length / 1000))
end
local known = redis.call('ZSCORE', KEYS[1], ARGV[1]) and 1 or 0
hold(KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(now))
for i = 3, #ARGV do
  hold(KEYS[3], ARGV[i])
  hold(KEYS[i + 1], ARGV[i])
end
return {redis.call('ZCARD', KEYS[1]), redis.call('GET', KEYS[2]) or '0', known}
