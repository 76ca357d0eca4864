-- Charges what a gateway knows of clients' rates when it was alone.
--
-- KEYS: rates, and what notes that these charges have been told: they count once. ARGV,
-- for each client: the name it counts under, what it owed when the gateways parted, what
-- it has taken since and still owes, and the most it may owe. Nobody owes less for it.
if not redis.call('SET', KEYS[2], 1, 'NX', 'PX', 600000) then return 0 end
for i = 1, #ARGV, 4 do
  local due = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or now)
  due = math.max(due, now + ARGV[i + 1])
  due = math.max(due, math.min(due + ARGV[i + 2], now + ARGV[i + 3]))
  redis.call('ZADD', KEYS[1], whole(due), ARGV[i])
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIRE', KEYS[1], math.max(0, math.ceil((last[2] - now) / 1000)) + 1000) end
return 1
