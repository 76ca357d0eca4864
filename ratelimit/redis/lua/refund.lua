-- Gives back what one request took of a rate, but for what time has paid off since.
-- KEYS: rates. ARGV: the name it counts under, interval, what was due when it had taken
-- it. Returns what the client owes.
local due = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not due then return '0' end
due = due - math.min(ARGV[2], math.max(0, ARGV[3] - now))
redis.call('ZADD', KEYS[1], whole(due), ARGV[1])
return whole(math.max(0, due - now))
