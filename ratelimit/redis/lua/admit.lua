-- Decides on one request: all of it or nothing.
--
-- KEYS: blocks, rates, leases, and the leases of the client, of its neighbours and
-- of everyone. ARGV: the client's key, then the three names that it may count
-- under, interval, burst, concurrency, per client, clients at most, the lease's
-- name and length, and what to do: r to look at block and rate, s to take slots, q
-- to take the rate even if there is no slot. Times are microseconds of this clock.
--
-- Returns the verdict (0 passed, 1 rate, 2 blocked, 3 all slots taken, 4 the
-- client's slots taken), the wait, what the client owes, which of the three names
-- it counts under, and the time.
local blocks, rates, leases = KEYS[1], KEYS[2], KEYS[3]
local interval, burst = tonumber(ARGV[5]), tonumber(ARGV[6])
local concurrency, perClient, places = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local lease, length, what = ARGV[10], tonumber(ARGV[11]), ARGV[12]
local looks, takes, queues = what:find('r'), what:find('s'), what:find('q')
local full = burst * interval


-- place finds the name that the client counts under: its own, unless it is new and
-- there are too many. A newcomer pays for the search for those who owe nothing.
local function place()
  if interval == 0 then return 1, now end
  local due = redis.call('ZSCORE', rates, ARGV[2])
  if due then return 1, tonumber(due) end
  local idle = redis.call('ZRANGEBYSCORE', rates, '-inf', whole(now), 'LIMIT', 0, 8)
  if #idle > 0 then redis.call('ZREM', rates, unpack(idle)) end
  local known = redis.call('ZCARD', rates)
  if known < places - math.floor(places / 16) - 1 then return 1, now end
  due = redis.call('ZSCORE', rates, ARGV[3])
  if due then return 2, tonumber(due) end
  if known < places - 1 then return 2, now end
  return 3, tonumber(redis.call('ZSCORE', rates, ARGV[4]) or now)
end

local who, due = place()
due = math.min(math.max(due, now), now + full)
local wait = 0
if interval > 0 then wait = due - (burst - 1) * interval - now end

if looks then
  local block = redis.call('HGET', blocks, ARGV[1])
  if block then
    local left = tonumber(block:match('^%d+ (%d+)')) - now
    if left > 0 then return {2, whole(math.max(left, wait)), whole(due - now), who, whole(now)} end
  end
  if wait > 0 then return {1, whole(wait), whole(due - now), who, whole(now)} end
end

local verdict = 3
if takes then
  local own = KEYS[3 + who]
  redis.call('ZREMRANGEBYSCORE', leases, '-inf', whole(now))
  redis.call('ZREMRANGEBYSCORE', own, '-inf', whole(now))
  if perClient > 0 and redis.call('ZCARD', own) >= perClient then
    verdict = 4
  elseif concurrency == 0 or redis.call('ZCARD', leases) < concurrency then
    verdict = 0
    for _, key in ipairs({leases, own}) do
      redis.call('ZADD', key, whole(now + length), lease)
      redis.call('PEXPIRE', key, math.ceil(length / 1000))
    end
  end
end

if looks and interval > 0 and (verdict == 0 or queues) then
  due = due + interval
  redis.call('ZADD', rates, whole(due), ARGV[1 + who])
  -- as long as the one that owes most
  local last = redis.call('ZRANGE', rates, -1, -1, 'WITHSCORES')
  redis.call('PEXPIRE', rates, math.ceil((last[2] - now) / 1000) + 1000)
end
return {verdict, 0, whole(due - now), who, whole(now)}
